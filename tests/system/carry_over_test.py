"""Checkpoints of another training: what differs is named, and what fits is carried over if allowed.

Runs the program named by the environment variable LAYERLEDGER under the command named by MPIRUN.
"""

import unittest

from resume_support import EVER, ResumeTest
from train_test import CANNOT_CREATE, CONFIGURATION, write_images

import h5py
import numpy as np


class OtherTrainings(ResumeTest):
    def test_of_another_training(self):
        self.train(train__checkpoint_every=EVER)
        for ranks, settings, names in (
                (1, {}, ["world_size (2 there, 1 here)"]),
                (2, {"experiment__seed": 9}, ["seed (1 there, 9 here)"]),
                (2, {"train__batch_size": 2}, ["batch_size (4 there, 2 here)"]),
                (2, {"network__classes": 3}, ["network_digest"]),
                (2, {"train__optimizer": "adagrad"}, ["optimizer (momentum there, adagrad"])):
            complaint = self.complaint(
                self.train(ranks, train__iterations=6, train__resume="auto", **settings),
                CONFIGURATION)
            for name in names + ["train.resume_mismatch"]:
                self.assertIn(name, complaint)
        result = self.train(1, train__iterations=6, train__resume=self.checkpoint(3),
                            train__resume_mismatch="allow", output__file="other.h5")
        self.assertEqual(result.returncode, 0, result.stderr)
        with h5py.File(self.run_file.with_name("other.h5"), "r") as run:
            np.testing.assert_array_equal(run["iteration"][:], [3, 4, 5])
        self.assertTrue(self.checkpoint(3).exists())

    def test_more_ranks_go_on_after_as_many_images(self):
        write_images(self.images)
        images = {"data__source": "folder", "data__root": self.images, "train__topk": 2,
                  "train__validate": "false"}
        self.train(1, train__iterations=12, train__checkpoint_every=EVER, **images)
        result = self.train(2, train__iterations=8, train__resume=self.checkpoint(12),
                            train__resume_mismatch="allow", output__file="other.h5", **images)
        self.assertEqual(result.returncode, 0, result.stderr)
        with h5py.File(self.run_file.with_name("other.h5"), "r") as run:
            np.testing.assert_array_equal(run["iteration"][:], [6, 7])
            np.testing.assert_array_equal(run["epoch"][:], [1, 1])


class CarryingOver(ResumeTest):
    """train.resume = auto with a checkpoint of another training, which is allowed."""

    def setUp(self):
        super().setUp()
        self.before = self.run_file.with_name("run.before-1.h5")
        self.checkpoints_before = self.before.with_suffix(".checkpoints")
        self.train(train__iterations=10, train__checkpoint_every=EVER)
        self.recorded = self.run_file.read_bytes()
        self.other = {"ranks": 1, "train__resume": "auto", "train__resume_mismatch": "allow",
                      "train__iterations": 20}

    def assert_carried_over(self, before, iterations):
        with h5py.File(self.run_file, "r") as run:
            self.assertEqual(run.attrs["status"], "complete")
            np.testing.assert_array_equal(run["iteration"][:], iterations)
            self.assertEqual(run["starts/started_checkpoint"].asstr()[0],
                             str(self.checkpoint(10, before.with_suffix(".checkpoints"))))
            self.assertEqual(run["rank"].shape, (1,))

    def test_goes_into_a_new_run_and_names_the_differences(self):
        result = self.train(train__checkpoint_every=EVER, **self.other)
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertIn("world_size (2 there, 1 here)", result.stderr)
        self.assertIn(str(self.before), result.stderr)
        self.assert_carried_over(self.before, np.arange(10, 20))
        self.assertEqual(self.before.read_bytes(), self.recorded)
        self.assertTrue(self.checkpoint(10, self.checkpoints_before).exists())
        self.assertEqual(self.latest(), self.checkpoint(20).name)
        # The new run is one of its own: it goes on as any does.
        result = self.train(train__checkpoint_every=EVER,
                            **{**self.other, "train__iterations": 25})
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertNotIn("another training", result.stderr)
        self.assert_carried_over(self.before, np.arange(10, 25))
        self.assertFalse(self.run_file.with_name("run.before-2.h5").exists())
        # And it can be carried over again.
        result = self.train(train__checkpoint_every=EVER, experiment__seed=5,
                            **{**self.other, "train__iterations": 30})
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertIn("seed (1 there, 5 here)", result.stderr)
        self.assertTrue(self.run_file.with_name("run.before-2.h5").exists())
        self.assertEqual(self.before.read_bytes(), self.recorded)

    def test_a_start_that_ended_before_its_first_checkpoint_is_repeated(self):
        first = self.train(train__checkpoint_every=0, **self.other)
        self.assertEqual(first.returncode, 0, first.stderr)
        with h5py.File(self.run_file, "r+") as run:
            losses = run["loss"][:]
            run.attrs["status"] = "running"
        result = self.train(train__checkpoint_every=0, **self.other)
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertIn("run.unfinished-1.h5", result.stderr)
        self.assert_carried_over(self.before, np.arange(10, 20))
        with h5py.File(self.run_file, "r") as run:
            np.testing.assert_array_equal(run["loss"][:], losses)
        self.assertFalse(self.run_file.with_name("run.before-2.h5").exists())

    def test_a_kill_between_the_two_renames_loses_nothing(self):
        self.run_file.rename(self.before)
        result = self.train(train__checkpoint_every=EVER, **self.other)
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assert_carried_over(self.before.with_name("run.before-2.h5"), np.arange(10, 20))

    def test_what_is_no_run_file_is_left_alone(self):
        self.run_file.write_bytes(b"precious")
        complaint = self.complaint(self.train(**self.other), CANNOT_CREATE)
        self.assertIn("the output file is in the way", complaint)
        self.assertIn("move it away, and training goes on", complaint)
        self.assertEqual(self.run_file.read_bytes(), b"precious")
        self.assertTrue(self.checkpoint(10).exists())


if __name__ == "__main__":
    unittest.main()
