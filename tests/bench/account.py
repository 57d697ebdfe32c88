#!/usr/bin/env python3
"""How much of each iteration is unaccounted for, and what profiling costs.

    /usr/bin/python3 tests/bench/account.py --program build/src/app/layerledger

Prints, for AlexNet, VGG-11 and LeNet-5 at 1 and 2 ranks, the median and worst unaccounted share of
an iteration after warm-up, the same together with idle_other (gaps in which the processor was taken
from the rank: what a busy machine adds), how far the windows are from an independent wall clock, and, with
--overhead, the measured overhead of profile.level=layer with its 95 % interval.
"""

import argparse

import numpy as np

from runs import Run

CASES = {"alexnet": (64, 12), "vgg11": (12, 8), "lenet5": (64, 400)}
OVERHEAD = {"alexnet": (64, 2 * 150 + 3), "lenet5": (64, 2 * 2000 + 3)}


def account(program):
    for network, (batch, iterations) in CASES.items():
        for ranks in (1, 2):
            with Run(program, ranks=ranks, network__architecture=network,
                     network__normalization="none", train__batch_size=batch,
                     train__iterations=iterations, train__digest_every=iterations) as run:
                share = run.unaccounted_percent()
                gaps = share + run.activity_percent("idle_other")
                clock = run.file["wall_clock"]
                elapsed = clock["elapsed"][()] - clock["paused"][()]
                wall = clock["windows"][()] / elapsed - 1
                print(f"{network} batch {batch}, {ranks} rank(s): unaccounted median "
                      f"{np.median(share):.4f} %, worst {share.max():.4f} %; with idle_other "
                      f"median {np.median(gaps):.4f} %, worst {gaps.max():.4f} %; of {share.size} "
                      f"rank-iterations; windows against another clock {wall * 100:+.4f} %",
                      flush=True)


def overhead(program):
    for network, (batch, iterations) in OVERHEAD.items():
        with Run(program, network__architecture=network, network__normalization="none",
                 train__batch_size=batch, train__iterations=iterations,
                 profile__warmup=3, profile__overhead_check="true") as run:
            group = run.file["overhead"]
            print(f"{network} batch {batch}: overhead of level layer "
                  f"{group['percent'][()]:+.3f} % (95 %: {group['low'][()]:+.3f} to "
                  f"{group['high'][()]:+.3f}, {group['pairs'][()]} pairs), of it measurement "
                  f"{group['measurement_percent'][()]:.4f} %", flush=True)


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--program", default="build/src/app/layerledger")
    arguments.add_argument("--overhead", action="store_true", help="measure overhead instead")
    chosen = arguments.parse_args()
    (overhead if chosen.overhead else account)(chosen.program)


if __name__ == "__main__":
    main()
