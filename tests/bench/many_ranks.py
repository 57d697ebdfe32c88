#!/usr/bin/env python3
"""LeNet-5 on 64, 128 and 256 ranks of this machine, far more than it has cores.

    /usr/bin/python3 tests/bench/many_ranks.py --program build/src/app/layerledger [RANKS ...]

Prints for each number of ranks what rank 0 takes for gathering and writing the records of an iteration,
its memory and the file's size, what the machine's memory went up by, how well the clocks are known,
and whether `check` finds the file whole; exits with 1 where it does not. Iterations themselves say nothing here: hundreds of ranks
take turns on a few cores. A build without CUDA takes 35 MiB a rank; CUDA's libraries add 150.
"""

import argparse
import pathlib
import subprocess
import sys
import tempfile
import threading
import time

try:
    import h5py
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(77)

from runs import ENVIRONMENT

ITERATIONS = 12


def used_bytes():
    lines = pathlib.Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    facts = {line.split(":")[0]: int(line.split()[1]) * 1024 for line in lines}
    return facts["MemTotal"] - facts["MemAvailable"]


class PeakMemory:
    """The most that the machine had in use, beyond what it had before."""

    def __init__(self):
        self._before = used_bytes()
        self.bytes = 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def _watch(self):
        while not self._ended.wait(0.2):
            self.bytes = max(self.bytes, used_bytes() - self._before)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._ended.set()
        self._thread.join()


def run(program, ranks):
    with tempfile.TemporaryDirectory(prefix="layerledger-bench-") as folder:
        command = [
            "mpirun", "--oversubscribe", "--mca", "mpi_yield_when_idle", "1", "--bind-to", "none",
            "-n", str(ranks), program, "train", "--network.architecture", "lenet5",
            "--train.batch_size", "1", "--train.iterations", str(ITERATIONS),
            "--profile.warmup", "2", "--profile.clock_every", "4", "--output.directory", folder,
            "--output.file", "run.h5", "--output.progress", "none", "--device.backend", "cpu",
            "--device.threads", "1", "--sync.timeout_seconds", "600"]
        begun = time.monotonic()
        with PeakMemory() as memory:
            done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True,
                                  check=False)
        seconds = time.monotonic() - begun
        if done.returncode != 0:
            raise SystemExit(f"{ranks} ranks failed ({done.returncode}):\n{done.stderr[-3000:]}")
        path = pathlib.Path(folder) / "run.h5"
        check = subprocess.run([program, "check", path], capture_output=True, text=True, check=False)
        with h5py.File(path) as file:
            steady = file["warmup"][:] == 0
            column = file["activity"].asstr()[:].tolist().index("measurement")
            taken_us = file["activity_time"][steady, 0, column].mean()
            bounds = file["clocks/clock_bound"][:]
            causality = {name: data[()] for name, data in file["causality"].items()}
            peak = file["peak_memory"][0]
        print(f"{ranks} ranks: {ITERATIONS} iterations in {seconds:.0f} s with start and end; rank 0 "
              f"takes {taken_us:.0f} us an iteration to gather and write, "
              f"{taken_us / ranks:.2f} us a rank; its memory {peak / 2**20:.0f} MiB, all "
              f"{memory.bytes / 2**30:.1f} GiB; file {path.stat().st_size / ranks / 2**10:.1f} "
              f"KiB a rank; clocks known to {bounds.max() / 1e3:.0f} us, "
              f"{causality['violations']} of {causality['checked']} all-reduces contradict; "
              f"check: {'ok' if check.returncode == 0 else check.stdout}", flush=True)
        return check.returncode == 0 and causality["violations"] == 0


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--program", default="build/src/app/layerledger")
    arguments.add_argument("ranks", type=int, nargs="*", default=[64, 128, 256])
    chosen = arguments.parse_args()
    return 0 if all([run(chosen.program, ranks) for ranks in chosen.ranks]) else 1


if __name__ == "__main__":
    sys.exit(main())
