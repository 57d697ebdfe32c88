#!/usr/bin/env bash
# Holds every shell script of the project against shellcheck.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
command -v shellcheck >/dev/null || { echo "skipped: needs shellcheck"; exit 77; }
mapfile -t scripts < <(find slurm tests -name '*.sbatch' -o -name '*.sh' | sort)
shellcheck bootstrap .ci/run "${scripts[@]}"
echo "${#scripts[@]} scripts"
