#!/usr/bin/env bash
# Submits a scaling study: one job for each number of nodes, then one that makes the report.
#
#   slurm/submit_scaling.sh 1 2 4 8 --config configs/resnet50.cfg
#   SCALING=strong BATCH=4096 REPETITIONS=3 slurm/submit_scaling.sh 1 2 4 8 16 --config ...
#
# What follows the numbers goes to `layerledger train`.

SCALING=${SCALING:-weak}        # weak: the batch of a rank stays; strong: that of all ranks
BATCH=${BATCH:-64}              # weak: of each rank; strong: of all
REPETITIONS=${REPETITIONS:-1}   # of each point; their spread gives the report its intervals
ITERATIONS=${ITERATIONS:-200}   # of each run, warm-up included
NAME=${NAME:-scaling-$SCALING-$(date -u +%Y%m%d-%H%M%S)}
OUTPUT=${OUTPUT:-$PWD/runs/$NAME}  # seen by all nodes
SBATCH_OPTIONS=${SBATCH_OPTIONS:-} # for every job: "--account=a --partition=p"
JOB_OPTIONS=${JOB_OPTIONS:-}       # for the trainings alone: "--ntasks-per-node=8 --gpus-per-node=8"

set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
JOB=${JOB:-$here/multi_node.sbatch}  # or cpu_nodes.sbatch

die() {
    printf 'submit_scaling.sh: %s\n' "$1" >&2
    exit 64
}

nodes=()
while (($#)) && [[ $1 =~ ^[1-9][0-9]*$ ]]; do
    nodes+=("$1")
    shift
done
for word in "$@"; do
    case $word in
        --experiment.* | --output.directory* | --output.file* | --train.batch_size* | --train.iterations*)
            die "the study itself sets ${word%%=*}: see BATCH, ITERATIONS, REPETITIONS and OUTPUT" ;;
    esac
done
((${#nodes[@]} >= 2)) || die "name at least two numbers of nodes: submit_scaling.sh 1 2 4 8"
[[ $SCALING == weak || $SCALING == strong ]] || die "SCALING is '$SCALING', not weak or strong"
[[ -f $JOB ]] || die "JOB names no script: $JOB"
[[ ! -e $OUTPUT ]] || die "$OUTPUT already exists: choose another NAME or OUTPUT"

read -ra all_options <<<"$SBATCH_OPTIONS"
read -ra job_options <<<"$JOB_OPTIONS"
per_node=$({ sed -n 's/^#SBATCH --ntasks-per-node=/--ntasks-per-node=/p' "$JOB"
    printf '%s\n' "${all_options[@]}" "${job_options[@]}"; } |
    sed -n 's/^--ntasks-per-node=\([0-9]*\).*/\1/p' | tail -n 1)
[[ -n $per_node ]] || die "how many ranks a node has is not said: JOB_OPTIONS=--ntasks-per-node=4"

batches=()
for n in "${nodes[@]}"; do
    ranks=$((n * per_node)) batch=$BATCH
    if [[ $SCALING == strong ]]; then
        ((BATCH % ranks == 0)) || die "BATCH=$BATCH does not divide among $ranks ranks ($n nodes)"
        batch=$((BATCH / ranks))
    fi
    batches+=("$batch")
done

if [[ -z ${ANALYSIS:-} ]] && ! command -v layerledger-analysis >/dev/null; then
    ANALYSIS="env PYTHONPATH=$(dirname "$here")/analysis python3 -m layerledger"
fi
export ANALYSIS=${ANALYSIS:-layerledger-analysis}

mkdir -p "$OUTPUT"
jobs=()
for i in "${!nodes[@]}"; do
    n=${nodes[i]}
    jobs+=("$(sbatch --parsable "${all_options[@]}" "${job_options[@]}" --nodes="$n" \
        --job-name="$NAME-$n" --output="$OUTPUT/%x-%j.out" "$JOB" \
        --experiment.name "nodes-$n" --experiment.repetitions "$REPETITIONS" \
        --train.iterations "$ITERATIONS" --output.directory "$OUTPUT" "$@" \
        --train.batch_size "${batches[i]}" | cut -d ';' -f 1)")
    echo "job ${jobs[i]}: $n nodes, $((n * per_node)) ranks x batch ${batches[i]}, $REPETITIONS times"
done
# afterany: the points that succeed are worth a report, which says what is missing.
report=$(sbatch --parsable "${all_options[@]}" --dependency="afterany:$(IFS=: && echo "${jobs[*]}")" \
    --job-name="$NAME-report" --output="$OUTPUT/%x-%j.out" \
    "$here/scaling_report.sbatch" "$OUTPUT" $((${#nodes[@]} * REPETITIONS)) | cut -d ';' -f 1)
echo "job $report: then the report, $OUTPUT/report/index.html"
