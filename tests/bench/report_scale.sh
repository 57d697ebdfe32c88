#!/bin/sh
# report_scale.sh BUILD [FOLDER]: time and memory of the report of 1,024 ranks x 1,000 iterations of
# ResNet-50, whose file BUILD/tests/bench/record_scale makes (~1.6 GB in FOLDER, by default a
# temporary one). Limits: 60 s and 4 GiB on two cores.
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
folder=${2:-$(mktemp -d)}
[ $# -gt 1 ] || trap 'rm -rf "$folder"' EXIT
file=$folder/layerledger_record_scale.h5
[ -e "$file" ] || "$1/tests/bench/record_scale" "$folder" keep || true  # its limits are its own affair
PYTHONPATH=$root/analysis "${PYTHON:-/usr/bin/python3}" - "$file" "$folder" <<'PYTHON'
import resource
import sys
import time

from layerledger.cli import main

start = time.monotonic()
code = main(["report", sys.argv[1], "-o", sys.argv[2]])
seconds = time.monotonic() - start
gib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 << 20)
for what, value, unit, limit in (("report", seconds, "s", 60), ("peak memory", gib, "GiB", 4)):
    print(f"{what}: {value:.2f} {unit} (limit {limit}) {'PASS' if value <= limit else 'FAIL'}")
sys.exit(code or seconds > 60 or gib > 4)
PYTHON
