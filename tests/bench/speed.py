#!/usr/bin/env python3
"""Iteration time of layerledger against PyTorch on this machine, alternated, as a ratio.

    /usr/bin/python3 tests/bench/speed.py --program build/src/app/layerledger --torch python3

`--torch` names a Python that has PyTorch. Needs h5py. One rank with as many threads as PyTorch.
Beside the times stands the floor: all FLOPs of an iteration at the best rate that any convolution of
the network reached in the same runs.
"""

import argparse
import json
import pathlib
import statistics
import subprocess

import numpy as np

from runs import Run

PEER = pathlib.Path(__file__).with_name("peer_torch.py")
CASES = {"alexnet": 64, "vgg11": 12}


def floor_ms(run):
    """All layers' FLOPs at the rate of the best convolution, forward or backward, after warm-up."""
    flops = run.file["layer_flops"][:]
    times_us = np.median(run.file["layer_time"][run.measured()], axis=(0, 1))
    convolutions = run.file["layer_kind"].asstr()[:] == "convolution"
    best = (flops / times_us)[convolutions, :2].max()
    return flops.sum() / best / 1e3


class Peer:
    """A PyTorch process that measures when asked."""

    def __init__(self, python, network, batch, threads, iterations):
        self._process = subprocess.Popen(
            [python, str(PEER), "--network", network, "--batch", str(batch), "--threads",
             str(threads), "--iterations", str(iterations)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.version = json.loads(self._process.stdout.readline())["torch"]

    def iteration_ms(self):
        self._process.stdin.write("go\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def close(self):
        self._process.stdin.close()
        self._process.wait(timeout=60)


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--program", default="build/src/app/layerledger")
    arguments.add_argument("--torch", default="python3")
    arguments.add_argument("--networks", nargs="+", default=list(CASES))
    arguments.add_argument("--threads", type=int, default=2)
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--iterations", type=int, default=4)
    chosen = arguments.parse_args()

    for network in chosen.networks:
        batch = CASES[network]
        peer = Peer(chosen.torch, network, batch, chosen.threads, chosen.iterations)
        ours, theirs, ratios, floors = [], [], [], []
        for _ in range(chosen.rounds):
            with Run(chosen.program, threads=chosen.threads, network__architecture=network,
                     network__normalization="none", train__batch_size=batch,
                     train__iterations=chosen.iterations + 2, profile__warmup=2) as run:
                mine = statistics.median(run.iteration_ms())
                floors.append(floor_ms(run))
            other = statistics.median(peer.iteration_ms())
            ours.append(mine)
            theirs.append(other)
            ratios.append(other / mine)
        peer.close()
        print(f"{network} batch {batch}, {chosen.threads} threads: layerledger "
              f"{statistics.median(ours):.1f} ms, PyTorch {peer.version} "
              f"{statistics.median(theirs):.1f} ms, PyTorch/layerledger "
              f"{statistics.median(ratios):.3f} (rounds {min(ratios):.3f} to {max(ratios):.3f}); "
              f"floor {min(floors):.1f} ms",
              flush=True)


if __name__ == "__main__":
    main()
