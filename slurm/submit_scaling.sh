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

die() {  # MESSAGE [CODE]
    printf 'submit_scaling.sh: %s\n' "$1" >&2
    exit "${2:-64}"
}

if [[ ${1:-} == --help || ${1:-} == -h ]]; then
    sed -n '2,/^$/s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
    printf '\nSettings come from the environment, else are as here:\n\n'
    sed -n '/^[A-Z_]*=${[A-Z_]*:-/p' "${BASH_SOURCE[0]}"
    exit
fi
nodes=()
while (($#)) && [[ $1 =~ ^[1-9][0-9]*$ ]]; do
    nodes+=("$1")
    shift
done
if (($#)) && [[ $1 != --* ]]; then
    die "'$1' is no number of nodes, and a setting of the training begins with --: see submit_scaling.sh --help"
fi
((${#nodes[@]} >= 2)) || die "name at least two numbers of nodes: submit_scaling.sh 1 2 4 8"
before=
for word in "$@"; do
    case $word in
        --experiment.* | --output.directory* | --output.file* | --train.batch_size* | --train.iterations*)
            die "the study itself sets ${word%%=*}: see BATCH, ITERATIONS, REPETITIONS and OUTPUT" ;;
    esac
    config=
    [[ $before != --config ]] || config=$word
    [[ $word != --config=* ]] || config=${word#--config=}
    [[ -z $config || -f $config ]] || die "there is no '$config', which --config names" 66
    before=$word
done
[[ $SCALING == weak || $SCALING == strong ]] || die "SCALING is '$SCALING', not weak or strong"
[[ -f $JOB ]] || die "JOB names no script: $JOB"
[[ ! -e $OUTPUT ]] || die "$OUTPUT already exists: choose another NAME or OUTPUT"

read -ra all_options <<<"$SBATCH_OPTIONS"
read -ra job_options <<<"$JOB_OPTIONS"
for word in "${all_options[@]}" "${job_options[@]}"; do
    case $word in
        --nodes* | -N*) die "the study itself says how many nodes a job has: leave out $word" ;;
    esac
done
# The last counts, as for sbatch; options may have a blank before their value.
per_node=$({ sed -n 's/^#SBATCH //p' "$JOB"
    printf '%s\n' "${all_options[*]}" "${job_options[*]}"; } |
    grep -oE -- '--ntasks-per-node[= ][0-9]+' | grep -oE '[0-9]+$' | tail -n 1 || true)
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

command -v sbatch >/dev/null || die "there is no sbatch here, which submits the jobs: is this a login node?" 69
mkdir -p "$OUTPUT"
jobs=()
take_back() {
    ((${#jobs[@]} == 0)) || scancel "${jobs[@]}"
    rmdir "$OUTPUT" 2>/dev/null || true
    die "sbatch has refused a job (see above); none of the study is left in the queue" 69
}
trap take_back ERR
for i in "${!nodes[@]}"; do
    n=${nodes[i]}
    job=$(sbatch --parsable "${all_options[@]}" "${job_options[@]}" --nodes="$n" \
        --job-name="$NAME-$n" --output="$OUTPUT/%x-%j.out" "$JOB" \
        --experiment.name "nodes-$n" --experiment.repetitions "$REPETITIONS" \
        --train.iterations "$ITERATIONS" --output.directory "$OUTPUT" "$@" \
        --train.batch_size "${batches[i]}" | cut -d ';' -f 1)
    jobs+=("$job")
    echo "job ${jobs[i]}: $n nodes, $((n * per_node)) ranks x batch ${batches[i]}, $REPETITIONS times"
done
# afterany: the points that succeed are worth a report, which says what is missing.
report=$(sbatch --parsable "${all_options[@]}" --dependency="afterany:$(IFS=: && echo "${jobs[*]}")" \
    --job-name="$NAME-report" --output="$OUTPUT/%x-%j.out" \
    "$here/scaling_report.sbatch" "$OUTPUT" $((${#nodes[@]} * REPETITIONS)) | cut -d ';' -f 1)
echo "job $report: then the report, $OUTPUT/report/index.html"
