#!/usr/bin/env python3
"""SIGKILLs a random rank at a random moment of training or checkpointing, again and again, and starts
the job again each time, until it ends by itself.

    /usr/bin/python3 tests/bench/kill_resume.py --program build/src/app/layerledger --kills 30

The job that was killed so often must end like one that was not: the same losses in the run file, bit
for bit, on an unbroken iteration axis, and the same numbers in the last checkpoint. Half of the kills
wait for a checkpoint to be on its way. A job that ends before all kills are done makes room for
another one.
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

from kill import ranks_of
from runs import ENVIRONMENT

NETWORK = ["--network.architecture", "lenet5", "--network.classes", "10",
           "--train.batch_size", "8",
           "--train.optimizer", "adadelta", "--train.learning_rate", "1"]


def command(program, ranks, iterations, folder):
    return ["mpirun", "--oversubscribe", "--bind-to", "none", "-n", str(ranks), program, "train",
            *NETWORK, "--train.iterations", str(iterations), "--train.checkpoint_every", "20",
            "--train.resume", "auto", "--output.directory", str(folder), "--output.file", "run.h5",
            "--output.commit_seconds", "0.05", "--output.progress", "none",
            "--device.threads", "1"]


def start(words):
    return subprocess.Popen(words, env=ENVIRONMENT, stdout=subprocess.DEVNULL,
                            stderr=subprocess.PIPE, text=True)


def has_half_checkpoint(folder, since):
    try:
        return any(half.stat().st_mtime >= since
                   for half in (folder / "run.checkpoints").glob("*.part"))
    except FileNotFoundError:  # it has its name by now
        return False


def wait_for_checkpoint(folder, job, since):
    """Until half a checkpoint is in the folder, or the job or our patience ends."""
    deadline = time.monotonic() + 5
    while (time.monotonic() < deadline and job.poll() is None
           and not has_half_checkpoint(folder, since)):
        time.sleep(0.0005)


def killed(program, words, folder, generator, longest):
    """Starts the job and kills one of its ranks. Nothing where the job ended first, else whether
    half a checkpoint was left."""
    started = time.time()
    job = start(words)
    time.sleep(generator.uniform(0.3, longest))
    if generator.random() < 0.5:
        wait_for_checkpoint(folder, job, started)
    while not (victims := ranks_of(job.pid, program)) and job.poll() is None:
        time.sleep(0.05)  # on a busy machine the launcher alone may be there by now
    if not victims:
        code = job.wait(timeout=60)
        assert code == 0, f"the job failed ({code}): {job.stderr.read()}"
        return None
    os.kill(generator.choice(victims), signal.SIGKILL)
    try:
        code = job.wait(timeout=20)
    except subprocess.TimeoutExpired:
        job.kill()
        raise
    return has_half_checkpoint(folder, started) if code != 0 else None


def finish(words):
    job = start(words)
    messages = job.communicate(timeout=300)[1]
    assert job.returncode == 0, f"the job failed ({job.returncode}): {messages}"


def losses(folder, iterations):
    with h5py.File(folder / "run.h5", "r") as run:
        assert run.attrs["status"] == "complete"
        assert np.array_equal(run["iteration"][:], np.arange(iterations)), run["iteration"][:]
        assert (np.diff(run["iteration_start"][:], axis=0) > 0).all()
        return run["loss"][:]


def last_numbers(folder):
    """Iteration, and every number of the newest checkpoint, to the bit."""
    newest = max((folder / "run.checkpoints").glob("checkpoint-*.h5"))
    numbers = {}

    def take(name, item):
        if isinstance(item, h5py.Dataset) and item.dtype != object:
            numbers[name] = item[()].tobytes()
    with h5py.File(newest, "r") as checkpoint:
        checkpoint.visititems(take)
        return int(checkpoint.attrs["iteration"]), numbers


def compare(folder, undisturbed, iterations):
    assert np.array_equal(losses(folder, iterations), losses(undisturbed, iterations))
    (iteration, numbers), (wanted_iteration, wanted) = map(last_numbers, (folder, undisturbed))
    assert iteration == wanted_iteration and len(wanted) > 0
    assert numbers.keys() == wanted.keys()
    assert [name for name in wanted if numbers[name] != wanted[name]] == []


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--program", default="build/src/app/layerledger")
    arguments.add_argument("--kills", type=int, default=30)
    arguments.add_argument("--ranks", type=int, default=2)
    arguments.add_argument("--iterations", type=int, default=1500)
    arguments.add_argument("--longest", type=float, default=2.0, help="seconds before a kill")
    arguments.add_argument("--seed", type=int, default=1)
    chosen = arguments.parse_args()
    generator = random.Random(chosen.seed)
    with tempfile.TemporaryDirectory(prefix="layerledger-resume-") as name:
        undisturbed = pathlib.Path(name) / "undisturbed"
        finish(command(chosen.program, chosen.ranks, chosen.iterations, undisturbed))
        kills = jobs = halves = 0
        while kills < chosen.kills:
            jobs += 1
            assert jobs < 10 * chosen.kills, f"{jobs} jobs ended before they were killed"
            folder = pathlib.Path(name) / f"killed-{jobs}"
            words = command(chosen.program, chosen.ranks, chosen.iterations, folder)
            while kills < chosen.kills:
                left_half = killed(chosen.program, words, folder, generator, chosen.longest)
                if left_half is None:
                    break
                kills += 1
                halves += left_half
            finish(words)
            compare(folder, undisturbed, chosen.iterations)
    print(f"{kills} kills of {jobs} jobs, {halves} of them in the middle of a checkpoint: every "
          f"start went on from the last whole checkpoint, and every job ended with the losses and parameters "
          f"of an undisturbed one, bit for bit")


if __name__ == "__main__":
    main()
