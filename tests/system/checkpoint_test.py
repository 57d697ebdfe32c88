"""Checkpoint files: which are kept, what is in them, which are refused, where they cannot be written.

Runs the program named by the environment variable LAYERLEDGER under the command named by MPIRUN.
"""

import subprocess
import unittest

from resume_support import DATA_LOST, EVER, PROGRAM, ResumeTest
from train_test import BAD_DATA, CANNOT_CREATE, MISSING

import h5py
import numpy as np


class Checkpoints(ResumeTest):
    def test_the_newest_are_kept_and_every_pause_is_recorded(self):
        result = self.train(train__iterations=50, train__checkpoint_every=10,
                            train__checkpoint_keep=3)
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertEqual(sorted(path.name for path in self.checkpoints.iterdir()),
                         [self.checkpoint(i).name for i in (30, 40, 50)] + ["latest"])
        self.assertEqual(self.latest(), self.checkpoint(50).name)
        with h5py.File(self.run_file, "r") as run:
            np.testing.assert_array_equal(run["pauses/paused_iteration"][:], [10, 20, 30, 40, 50])
            clock = {name: run["wall_clock"][name][()] for name in ("windows", "elapsed", "paused")}
        self.assertGreater(clock["paused"], 0)
        self.assertAlmostEqual(clock["windows"] / (clock["elapsed"] - clock["paused"]), 1,
                               delta=0.02)

    def test_a_checkpoint_is_readable_by_names_and_dims(self):
        self.train(train__checkpoint_every=EVER)
        with h5py.File(self.checkpoint(3), "r") as checkpoint:
            self.assertEqual(checkpoint.attrs["iteration"], 3)
            names = checkpoint["parameter_names"].asstr()[:]
            weight = checkpoint["parameters"][names[0]]
            self.assertEqual(weight.shape, checkpoint["optimizer/velocity"][names[0]].shape)
            self.assertEqual(checkpoint["identity/world_size"].asstr()[()], "2")


class WrongCheckpoints(ResumeTest):
    def test_none_there(self):
        nowhere = self.folder / "nowhere.h5"
        complaint = self.complaint(self.train(train__resume=nowhere), MISSING)
        self.assertIn(str(nowhere), complaint)
        self.assertFalse(self.run_file.exists())

    def test_another_kind_of_file(self):
        text = self.folder / "text.h5"
        text.write_text("no checkpoint")
        self.assertIn(str(text), self.complaint(self.train(train__resume=text), BAD_DATA))
        self.train()
        self.complaint(self.train(train__resume=self.run_file), BAD_DATA)

    def test_cut_short_or_damaged(self):
        self.train(train__checkpoint_every=EVER)
        path = self.checkpoint(3)
        whole = path.read_bytes()
        path.write_bytes(whole[: len(whole) // 2])
        self.assertIn("no whole checkpoint", self.complaint(self.train(train__resume=path),
                                                            BAD_DATA))
        damaged = bytearray(whole)
        with h5py.File(self.folder / "copy.h5", "w"):
            pass
        (self.folder / "copy.h5").write_bytes(whole)
        with h5py.File(self.folder / "copy.h5", "r") as copy:
            name = copy["parameter_names"].asstr()[0]
            damaged[copy["parameters"][name].id.get_offset() + 5] ^= 1
        path.write_bytes(damaged)
        self.assertIn("not those that were written",
                      self.complaint(self.train(train__resume=path), BAD_DATA))

    def test_auto_takes_the_one_before_a_broken_one(self):
        whole = self.whole_run(train__iterations=30)
        self.train(train__iterations=20, train__checkpoint_every=10)
        newest = self.checkpoint(20)
        newest.write_bytes(newest.read_bytes()[:1000])
        result = self.train(train__iterations=30, train__checkpoint_every=EVER,
                            train__resume="auto")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertIn("trying the one before", result.stderr)
        self.assert_same_as_whole(whole)

    def test_those_of_an_earlier_run_are_kept(self):
        self.train(train__checkpoint_every=EVER)
        self.run_file.unlink()
        self.assertIn("train.resume", self.complaint(self.train(), CANNOT_CREATE))
        self.assertTrue(self.checkpoint(3).exists())
        self.assertFalse(self.run_file.exists())
        self.assertEqual(self.train(output__overwrite="true").returncode, 0)
        self.assertFalse(self.checkpoint(3).exists())


class WrongPlaces(ResumeTest):
    def test_a_folder_that_cannot_be_made_is_refused_before_training(self):
        self.run_file.parent.mkdir()
        self.checkpoints.write_text("")
        complaint = self.complaint(self.train(train__checkpoint_every=2), CANNOT_CREATE)
        self.assertIn("run.checkpoints", complaint)
        self.assertFalse(self.run_file.exists())

    def test_on_a_full_disk_training_goes_on_and_the_older_checkpoint_stays(self):
        self.checkpoints.mkdir(parents=True)
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1100k", "none",
                                  self.checkpoints], capture_output=True)
        if mounted.returncode != 0:
            self.skipTest("needs the right to mount a small file system")
        self.addCleanup(subprocess.run, ["umount", self.checkpoints], check=True)
        result = self.train(train__iterations=30, train__checkpoint_every=10,
                            network__classes=10, output__overwrite="true")
        self.assertEqual(result.returncode, DATA_LOST, result.stderr)
        self.assertIn("No space left", result.stderr)
        self.assertEqual(sorted(path.name for path in self.checkpoints.iterdir()),
                         [self.checkpoint(10).name, "latest"])
        with h5py.File(self.run_file, "r") as run:
            self.assertEqual(run.attrs["status"], "complete")
            self.assertEqual(run.attrs["committed_iterations"], 30)
            self.assertEqual(run.attrs["lost_checkpoints"], 2)
        checked = subprocess.run([PROGRAM, "check", self.run_file], capture_output=True, text=True)
        self.assertEqual(checked.returncode, 0, checked.stdout)
        self.assertIn("2 checkpoints could not be written", checked.stdout)


if __name__ == "__main__":
    unittest.main()
