#!/usr/bin/env python3
"""SIGKILLs a random rank at a random moment, again and again.

    /usr/bin/python3 tests/bench/kill.py --program build/src/app/layerledger --trials 50

Each time mpirun must end with a non-zero code within 10 s, and the run file must open and hold every
committed iteration: consecutive numbers, times of all ranks, a finite loss, an account that closes.
"""

import argparse
import os
import pathlib
import random
import signal
import subprocess
import tempfile
import time

import h5py
import numpy as np

from runs import ENVIRONMENT


def ranks_of(mpirun, program):
    """Process ids of the ranks: mpirun's children that run the program."""
    children = [child for list in pathlib.Path(f"/proc/{mpirun}/task").glob("*/children")
                for child in list.read_text().split()]
    return [int(child) for child in children
            if pathlib.Path(f"/proc/{child}/exe").resolve() == pathlib.Path(program).resolve()]


def check(path):
    """The number of committed iterations; raises where one is not whole."""
    if not path.exists():
        return 0  # killed before the run began
    with h5py.File(path, "r") as file:
        committed = int(file.attrs["committed_iterations"])
        if committed == 0:
            return 0
        assert np.array_equal(file["iteration"][:committed], np.arange(committed))
        times = file["iteration_time"][:committed]
        named = (np.nansum(file["layer_time"][:committed], axis=(2, 3))
                 + np.nansum(file["activity_time"][:committed], axis=2)
                 + file["unaccounted"][:committed])
        assert np.isfinite(times).all() and (times > 0).all()
        assert np.allclose(named, times, rtol=1e-4)
        assert np.isfinite(file["loss"][:committed]).all()
        return committed


def trial(program, ranks, generator):
    with tempfile.TemporaryDirectory(prefix="layerledger-kill-") as folder:
        job = subprocess.Popen(
            ["mpirun", "--oversubscribe", "--bind-to", "none", "-n", str(ranks), program, "train",
             "--network.architecture", "lenet5", "--network.classes", "10", "--train.batch_size",
             "8", "--train.iterations", "1000000", "--output.directory", folder, "--output.file",
             "run.h5", "--output.commit_seconds", "0.05", "--output.progress", "none"],
            env=ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(generator.uniform(0.3, 3.0))
        victims = ranks_of(job.pid, program)
        if victims:
            os.kill(generator.choice(victims), signal.SIGKILL)
        else:
            os.kill(job.pid, signal.SIGKILL)  # not started yet
        killed = time.monotonic()
        code = job.wait(timeout=10)
        seconds = time.monotonic() - killed
        assert code != 0, "mpirun reports success"
        return seconds, check(pathlib.Path(folder) / "run.h5")


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--program", default="build/src/app/layerledger")
    arguments.add_argument("--trials", type=int, default=50)
    arguments.add_argument("--ranks", type=int, default=3)
    arguments.add_argument("--seed", type=int, default=1)
    chosen = arguments.parse_args()
    generator = random.Random(chosen.seed)
    results = [trial(chosen.program, chosen.ranks, generator) for _ in range(chosen.trials)]
    seconds, committed = zip(*results)
    print(f"{len(results)} trials: every file opened and was whole; mpirun ended within "
          f"{max(seconds):.1f} s; committed iterations {min(committed)} to {max(committed)}, "
          f"{sum(c > 0 for c in committed)} files with iterations")


if __name__ == "__main__":
    main()
