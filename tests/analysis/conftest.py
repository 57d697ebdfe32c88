"""The package from this source tree, whether installed or not."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "analysis"))
