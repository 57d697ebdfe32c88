#!/usr/bin/env python3
"""A layer that is slowed on purpose on one rank, live: is it named, and what does its delay measure?

    /usr/bin/python3 tests/bench/live_stragglers.py --program build/src/app/layerledger

Two ranks, each on a core of its own: trials of 5 and 10 % on one layer and phase, printing what the run
file names within the first 20 iterations, and from what on a delay in that span shows by the file's own
account (`sensitivity`); then 1 ms of skew, printing what the clocks make of it (late_by) and what the
all-reduce's wait does, against the delay that the slowed layer itself shows.
"""

import argparse

import numpy as np

from runs import Run

SETTINGS = {"network__architecture": "lenet5", "train__batch_size": 128, "profile__warmup": 10}
PERCENTS = (5, 10)
TRIALS = (("0", "conv1", "forward"), ("1", "conv2", "backward"), ("0", "conv2", "forward"),
          ("1", "conv1", "backward"), ("0", "conv2", "backward"), ("1", "conv2", "forward"))


def names(run, layer, phase):
    texts = [run.file[name].asstr()[:].tolist() for name in ("layer", "phase")]
    return texts[0].index(layer), texts[1].index(phase)


def shows_from(run, layer, phase):
    """Percent."""
    table = run.file["sensitivity"]
    at = [table[f"sensitivity_{name}"][:] for name in ("layer", "phase")]
    return float(table["sensitivity_percent"][:][(at[0] == layer) & (at[1] == phase)].item())


def trial(program, percent, rank, layer, phase):
    with Run(program, ranks=2, threads=1, bind="core", train__iterations=30,
             profile__inject=f"{rank}:{layer}:{percent}:{phase}", **SETTINGS) as run:
        table = run.file["stragglers"]
        found = list(zip(*(table[f"straggler_{name}"][:] for name in ("rank", "layer", "phase"))))
        span = names(run, layer, phase)
        wanted = (int(rank), *span)
        others = len(found) - (wanted in found)
        print(f"{percent} % on rank {rank} {layer} {phase}: "
              f"{'named' if wanted in found else 'NOT named'}, {others} others named; a delay there "
              f"shows from {shows_from(run, *span):.1f} % on", flush=True)
        return wanted in found


def wait_us(run, rank):
    """Median of the wait of a rank in its last all-reduce."""
    rows = run.measured()
    buckets = [run.file[f"bucket_{name}"][rows, rank, -1] for name in ("start", "transfer")]
    return float(np.median(buckets[1] - buckets[0]))


def arrives_later_us(run, rank):
    """Median over all iterations of how long after the other one, of two, a rank's last gradients exist.

    Signed, so that noise makes it neither more nor less; late_by is of the rank that was last alone.
    """
    rows = run.measured()
    at = run.file["iteration_start"][rows] / 1e3 + run.file["bucket_ready"][rows, :, -1]
    return float(np.median(at[:, rank] - at[:, 1 - rank]))


def skew(program):
    layer, phase = "conv2", "backward"
    with Run(program, ranks=2, threads=1, bind="core", train__iterations=210, **SETTINGS) as clean:
        at = names(clean, layer, phase)
        usual_us = float(np.median(clean.file["layer_time"][clean.measured(), 1, at[0], at[1]]))
        unskewed_us = wait_us(clean, 0)
        unskewed_later_us = arrives_later_us(clean, 1)
    percent = 100 * 1000 / usual_us
    with Run(program, ranks=2, threads=1, bind="core", train__iterations=210,
             profile__inject=f"1:{layer}:{percent:.1f}:{phase}", **SETTINGS) as run:
        rows = run.measured()
        slowed_us = float(np.median(run.file["layer_time"][rows, 1, at[0], at[1]]))
        delay_us = slowed_us * percent / (100 + percent)
        later_us = arrives_later_us(run, 1)
        late = run.file["late"]
        of_rank = late["late_rank"][:] == 1
        late_us = float(np.median(late["late_by"][:][of_rank]))
        waited_us = wait_us(run, 0)
        mean_us = float(run.file["anatomy/anatomy_wait"][-1])
        bound_us = run.file["clocks/clock_bound"][:].max() / 1e3
    print(f"{delay_us:.0f} us of delay injected: the rank arrives {later_us:.0f} us later "
          f"({100 * (later_us / delay_us - 1):+.1f} %; {unskewed_later_us:.0f} us without), late_by {late_us:.0f} us "
          f"({100 * (late_us / delay_us - 1):+.1f} %) in {100 * of_rank.mean():.0f} % of the "
          f"iterations, rank 0 waits {waited_us:.0f} us ({100 * (waited_us / delay_us - 1):+.1f} %; "
          f"{unskewed_us:.0f} us without), anatomy's mean wait of 2 ranks {mean_us:.0f} us; clocks "
          f"known to {bound_us:.1f} us", flush=True)


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--program", default="build/src/app/layerledger")
    program = arguments.parse_args().program
    for percent in PERCENTS:
        named = sum(trial(program, percent, *chosen) for chosen in TRIALS)
        print(f"{named} of {len(TRIALS)} named at {percent} %", flush=True)
    skew(program)


if __name__ == "__main__":
    main()
