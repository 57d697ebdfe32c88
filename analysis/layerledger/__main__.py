"""python3 -m layerledger is the command layerledger-analysis."""

import sys

from .cli import main

sys.exit(main())
