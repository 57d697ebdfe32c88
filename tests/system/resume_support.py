"""What the tests of checkpoints share: runs that go on, and how they are compared."""

import subprocess

from train_test import PROGRAM, TrainTest

import h5py
import numpy as np

USAGE, DATA_LOST, INTERRUPTED = 64, 74, 75
EVER = 10**9


class ResumeTest(TrainTest):
    def setUp(self):
        super().setUp()
        self.checkpoints = self.run_file.with_suffix(".checkpoints")

    def checkpoint(self, iteration, folder=None):
        return (folder or self.checkpoints) / f"checkpoint-{iteration:012}.h5"

    def whole_run(self, **settings):
        """The losses of a run that nothing disturbs, and its last checkpoint's numbers."""
        folder = self.folder / "undisturbed"
        result = self.train(output__directory=folder, train__checkpoint_every=EVER, **settings)
        self.assertEqual(result.returncode, 0, result.stderr)
        with h5py.File(folder / "run.h5", "r") as run:
            losses = run["loss"][:]
        return losses, self.numbers(folder / "run.checkpoints" / self.latest(folder))

    def latest(self, folder=None):
        return ((folder or self.run_file.parent) / "run.checkpoints" / "latest").read_text().strip()

    def numbers(self, path):
        found = {}

        def take(name, item):
            if isinstance(item, h5py.Dataset) and item.dtype != object:
                found[name] = item[()]
        with h5py.File(path, "r") as checkpoint:
            checkpoint.visititems(take)
        return found

    def assert_same_as_whole(self, whole, first=0):
        losses, numbers = whole
        with h5py.File(self.run_file, "r") as run:
            self.assertEqual(run.attrs["status"], "complete")
            np.testing.assert_array_equal(run["iteration"][:], np.arange(first, len(losses)))
            np.testing.assert_array_equal(run["loss"][:], losses[first:])
            self.assertTrue((np.diff(run["iteration_start"][:], axis=0) > 0).all())
            history = run.attrs["history"]
        mine = self.numbers(self.checkpoints / self.latest())
        self.assertEqual(mine.keys(), numbers.keys())
        for name, values in numbers.items():
            np.testing.assert_array_equal(mine[name], values, name)
        checked = subprocess.run([PROGRAM, "check", self.run_file], capture_output=True, text=True,
                                 timeout=60)
        self.assertEqual(checked.returncode, 0, checked.stdout)
        return history.splitlines()

    def complaint(self, result, code):
        self.assertEqual(result.returncode, code, result.stderr)
        complaints = [line for line in result.stderr.splitlines() if "error: " in line]
        self.assertEqual(len(complaints), 1, result.stderr)
        return complaints[0]

    def assert_resumes(self, **settings):
        """20 and 20 iterations equal 40."""
        whole = self.whole_run(train__iterations=40, **settings)
        first = self.train(train__iterations=20, train__checkpoint_every=EVER, **settings)
        self.assertEqual(first.returncode, 0, first.stderr)
        second = self.train(train__iterations=40, train__checkpoint_every=EVER,
                            train__resume="auto", **settings)
        self.assertEqual(second.returncode, 0, second.stderr)
        history = self.assert_same_as_whole(whole)
        self.assertEqual(len(history), 2)
        self.assertIn("iteration 20", history[1])
