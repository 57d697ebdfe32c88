#!/usr/bin/env python3
"""SIGKILLs a job at a random moment while it stages, again and again.

    /usr/bin/python3 tests/bench/kill_staging.py --program build/src/app/layerledger --trials 30

The images come from a slow rsync daemon on loopback. What is killed is chosen at random: the rank that
stages, another rank, its rsync, or the launcher. Each time the job must end with a non-zero code, no
rsync may be left behind, the root must be refused without data.remote, and the next start must go on
with the transfer and end with the losses of an undisturbed run.
"""

import argparse
import os
import pathlib
import random
import signal
import subprocess
import sys
import tempfile
import time

import h5py
import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "support"))

from noise_set import write_set  # noqa: E402
from servers import RsyncDaemon, missing  # noqa: E402

from kill import ranks_of  # noqa: E402
from runs import ENVIRONMENT  # noqa: E402


def rsyncs_into(root):
    found = []
    for process in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue  # has ended
        if words[0].endswith(b"rsync") and any(str(root).encode() in word for word in words):
            found.append(int(process.name))
    return found


def wait_for(condition, seconds, what):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


class Trials:
    def __init__(self, program, folder, generator):
        self.program = program
        self.folder = folder
        self.generator = generator
        self.root = folder / "disk" / "set"
        self.run_file = folder / "run.h5"

    def command(self, remote, root):
        return ["mpirun", "--oversubscribe", "--bind-to", "none", "-n", "2", self.program, "train",
                "--network.architecture", "lenet5", "--train.batch_size", "4",
                "--train.iterations", "8", "--train.topk", "2", "--data.source", "folder",
                "--data.classes", "cat,dog", "--data.root", root, *(
                    ["--data.remote", remote] if remote else []),
                "--output.directory", self.folder, "--output.file", self.run_file.name,
                "--output.progress", "none"]

    def run(self, remote, root):
        return subprocess.run(self.command(remote, root), env=ENVIRONMENT, capture_output=True,
                              text=True, timeout=120, stdin=subprocess.DEVNULL)

    def losses(self, result):
        assert result.returncode == 0, result.stderr
        with h5py.File(self.run_file) as run:
            losses = run["loss"][:]
            staged = int(run["staging/files"][()]) if "staging" in run else None
        self.run_file.unlink()
        return losses, staged

    def victims(self, job):
        ranks = sorted(ranks_of(job.pid, self.program))
        kind = self.generator.choice(["leader", "other", "rsync", "launcher"])
        chosen = {"leader": ranks[:1], "other": ranks[1:], "rsync": rsyncs_into(self.root)[:1],
                  "launcher": [job.pid]}[kind]
        return kind, chosen or [job.pid]

    def trial(self, remote, wanted):
        """What was killed, and how many files the next start still had to bring."""
        job = subprocess.Popen(self.command(remote, self.root), env=ENVIRONMENT,
                               stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL)
        wait_for(lambda: any(self.root.glob("train/*/*.jpg")), 30, "nothing arrives")
        time.sleep(self.generator.uniform(0, 1.2))
        kind, victims = self.victims(job)
        for victim in victims:
            os.kill(victim, signal.SIGKILL)
        code = job.wait(timeout=30)
        assert code != 0, f"{kind} was killed, mpirun reports success"
        wait_for(lambda: not rsyncs_into(self.root), 10, f"{kind} was killed, rsync is left")
        assert not self.run_file.exists(), "training began"
        refused = self.run("", self.root)
        assert refused.returncode == 65, (kind, refused.returncode, refused.stderr)
        assert "part of a set" in refused.stderr, (kind, refused.stderr)
        losses, staged = self.losses(self.run(remote, self.root))
        assert np.array_equal(losses, wanted), (kind, losses, wanted)
        subprocess.run(["rm", "-r", self.root], check=True)
        return kind, staged


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--program", default="build/src/app/layerledger")
    arguments.add_argument("--trials", type=int, default=30)
    arguments.add_argument("--seed", type=int, default=1)
    chosen = arguments.parse_args()
    if missing():
        raise SystemExit(f"no {', '.join(missing())} here")
    with tempfile.TemporaryDirectory(prefix="layerledger-kill-") as name:
        folder = pathlib.Path(name)
        write_set(folder / "set")
        trials = Trials(chosen.program, folder, random.Random(chosen.seed))
        wanted, _ = trials.losses(trials.run("", folder / "set"))
        with RsyncDaemon(folder / "daemon", folder / "set", kib_per_second=200) as daemon:
            results = [trials.trial(daemon.url, wanted) for _ in range(chosen.trials)]
    kinds, staged = zip(*results)
    counts = ", ".join(f"{kinds.count(kind)} {kind}" for kind in sorted(set(kinds)))
    print(f"{len(results)} trials ({counts}): no rsync left behind, no part of a set trained on, all "
          f"resumed with {min(staged)} to {max(staged)} files to go and ended with the losses of an "
          "undisturbed run")


if __name__ == "__main__":
    main()
