"""What the tests of experiments share: a folder of their own, the command, small images."""

import csv
import os
import pathlib
import subprocess
import tempfile
import time
import unittest

import h5py
from PIL import Image

PROGRAM = os.environ["LAYERLEDGER"]
MPIRUN = os.environ["MPIRUN"].split()
MISSING, CANNOT_CREATE, CONFIGURATION = 66, 73, 78


def write_images(root, classes, count=2):
    for part in ("train", "val"):
        for label in range(classes):
            folder = root / part / f"class{label}"
            folder.mkdir(parents=True)
            for i in range(count):
                Image.new("RGB", (64, 48), (20 * label, 100, 50 * i)).save(folder / f"{i}.jpg")


def rows_of(path):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


class ExperimentTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.runs = self.folder / "runs"
        self.index = self.runs / "lenet" / "index.csv"

    def command(self, ranks=2, **settings):
        chosen = {"experiment.name": "lenet", "network.architecture": "lenet5",
                  "train.batch_size": 4, "train.iterations": 12, "profile.warmup": 2,
                  "output.directory": self.runs}
        chosen.update({key.replace("__", "."): value for key, value in settings.items()})
        words = [word for key, value in chosen.items() for word in (f"--{key}", str(value))]
        return [*MPIRUN, "-n", str(ranks), PROGRAM, "train", *words]

    def train(self, ranks=2, **settings):
        return subprocess.run(self.command(ranks, **settings), timeout=120,
                              stdin=subprocess.DEVNULL, capture_output=True, text=True)

    def start(self, ranks=2, **settings):
        """A job that goes on until it is ended, at the latest when the test ends."""
        job = subprocess.Popen(self.command(ranks, **settings), stdin=subprocess.DEVNULL,
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(lambda: job.poll() is None and (job.kill(), job.wait()))
        return job

    def wait_for(self, condition, job):
        deadline = time.monotonic() + 60
        while not condition():
            self.assertIsNone(job.poll(), "the job has ended")
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.02)

    def losses(self, path):
        with h5py.File(path) as run:
            self.assertEqual(run.attrs["status"], "complete")
            return run["loss"][:]
