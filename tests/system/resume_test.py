"""Going on from a checkpoint: bit for bit as if nothing had happened, after kills and requests to stop.

Runs the program named by the environment variable LAYERLEDGER under the command named by MPIRUN.
"""

import fcntl
import os
import pathlib
import random
import signal
import subprocess
import time
import unittest

from resume_support import EVER, INTERRUPTED, ResumeTest
from train_test import CANNOT_CREATE, PROGRAM, write_images

import h5py
import numpy as np


class Resuming(ResumeTest):
    def test_random_images(self):
        for ranks in (1, 2):
            with self.subTest(ranks=ranks):
                self.setUp()
                self.assert_resumes(ranks=ranks, train__optimizer="adadelta",
                                    train__learning_rate=1)

    def test_images_of_a_folder_in_the_middle_of_an_epoch(self):
        write_images(self.images)
        self.assert_resumes(data__source="folder", data__root=self.images, train__topk=2,
                            train__validate="false")

    def test_a_network_that_drops_out_and_normalizes(self):
        settings = {"network__architecture": "alexnet", "network__image_size": 64,
                    "network__classes": 4, "network__normalization": "batch",
                    "train__batch_size": 2}
        whole = self.whole_run(train__iterations=6, **settings)
        for iterations in (3, 6):
            result = self.train(train__iterations=iterations, train__checkpoint_every=EVER,
                                train__resume="auto", **settings)
            self.assertEqual(result.returncode, 0, result.stderr)
        self.assertIn("ranks/statistics", whole[1])
        self.assertIn("ranks/random", whole[1])
        self.assert_same_as_whole(whole)

    def test_what_is_complete_is_left_alone(self):
        for _ in range(2):
            result = self.train(train__resume="auto", train__checkpoint_every=2)
            self.assertEqual(result.returncode, 0, result.stderr)
        self.assertIn("nothing is left to do", result.stderr)
        with h5py.File(self.run_file, "r") as run:
            self.assertEqual(len(run.attrs["history"].splitlines()), 1)

    def test_an_older_checkpoint_takes_the_run_back(self):
        whole = self.whole_run(train__iterations=40)
        self.train(train__iterations=30, train__checkpoint_every=10, train__checkpoint_keep=9)
        back = {"train__iterations": 40, "train__resume": self.checkpoint(10),
                "train__checkpoint_every": EVER}
        kept = self.run_file.read_bytes()
        complaint = self.complaint(self.train(**back), CANNOT_CREATE)
        self.assertIn("holds checkpoints after iteration 10", complaint)
        self.assertIn("output.overwrite true", complaint)
        self.assertEqual(self.run_file.read_bytes(), kept)
        self.assertTrue(self.checkpoint(30).exists())
        result = self.train(output__overwrite="true", **back)
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assert_same_as_whole(whole)
        self.assertFalse(self.checkpoint(30).exists())

    def test_fewer_iterations_than_there_are_are_told(self):
        self.train(train__iterations=10, train__checkpoint_every=EVER)
        result = self.train(train__iterations=5, train__checkpoint_every=EVER,
                            train__resume="auto")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertIn("has 10 iterations, more than the 5 of this start", result.stderr)
        self.assertIn("nothing is left to do", result.stderr)

    def test_a_lost_run_file_is_begun_anew_at_the_resumed_iteration(self):
        whole = self.whole_run(train__iterations=40)
        self.train(train__iterations=20, train__checkpoint_every=EVER)
        self.run_file.unlink()
        result = self.train(train__iterations=40, train__checkpoint_every=EVER,
                            train__resume="auto")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assert_same_as_whole(whole, first=20)


class Provenance(ResumeTest):
    def test_every_start_is_on_record(self):
        for iterations in (10, 20, 30):
            result = self.train(train__iterations=iterations, train__checkpoint_every=EVER,
                                train__resume="auto")
            self.assertEqual(result.returncode, 0, result.stderr)
        self.assertIn("starts              3, the first ", result.stdout)
        with h5py.File(self.run_file, "r") as run:
            starts = {name: data[()] if data.dtype != object else data.asstr()[()].tolist()
                      for name, data in run["starts"].items()}
            self.assertEqual(run.attrs["missing_iterations"], 0)
            hosts = run["provenance/hostlist"].asstr()[()]
        np.testing.assert_array_equal(starts["started_iteration"], [0, 10, 20])
        np.testing.assert_array_equal(starts["started_ranks"], [2, 2, 2])
        self.assertEqual(starts["started_checkpoint"],
                         ["", str(self.checkpoint(10)), str(self.checkpoint(20))])
        self.assertEqual(starts["started_hostlist"], [hosts] * 3)
        for iterations, line in zip((10, 20, 30), starts["started_cmdline"]):
            self.assertIn(f"--train.iterations {iterations} ", line)
        self.assertTrue(all("layerledger=" in text for text in starts["started_versions"]))

    def test_iterations_that_never_reached_the_file_are_told(self):
        """The file is put back to what the disk may hold after the machine went down."""
        whole = self.whole_run(train__iterations=40)
        self.train(train__iterations=10, train__checkpoint_every=EVER)
        kept = self.run_file.read_bytes()
        settings = {"train__checkpoint_every": EVER, "train__resume": "auto"}
        self.train(train__iterations=16, **settings)
        self.run_file.write_bytes(kept)
        result = self.train(train__iterations=40, **settings)
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertIn("6 more are missing", result.stdout)
        with h5py.File(self.run_file, "r") as run:
            there = np.r_[0:10, 16:40]
            np.testing.assert_array_equal(run["iteration"][:], there)
            np.testing.assert_array_equal(run["loss"][:], whole[0][there])
            self.assertEqual(run.attrs["missing_iterations"], 6)
        checked = subprocess.run([PROGRAM, "check", self.run_file], capture_output=True, text=True,
                                 timeout=60)
        self.assertEqual(checked.returncode, 0, checked.stdout)
        self.assertIn("34 iterations of 2 ranks, 6 more are not in the file", checked.stdout)

    def test_a_file_of_an_older_version_is_kept_and_a_new_one_goes_on(self):
        whole = self.whole_run(train__iterations=20)
        self.train(train__iterations=10, train__checkpoint_every=EVER)
        with h5py.File(self.run_file, "r+") as run:
            run.attrs["schema_version"] = "1.3.0"
        older = self.run_file.read_bytes()
        result = self.train(train__iterations=20, train__checkpoint_every=EVER,
                            train__resume="auto")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertIn("it is now '", result.stderr)
        self.assertEqual(self.run_file.with_name("run.older-1.h5").read_bytes(), older)
        self.assert_same_as_whole(whole, first=10)


class StoppingOnRequest(ResumeTest):
    def test_all_ranks_stop_and_the_next_start_goes_on(self):
        job = subprocess.Popen(self.command(2, {"train.iterations": EVER}), text=True,
                               stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        self.addCleanup(job.kill)
        deadline = time.monotonic() + 60
        while not self.run_file.exists():  # from then on the request is heard
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.05)
        job.send_signal(signal.SIGUSR1)
        messages = job.communicate(timeout=60)[1]
        self.assertEqual(job.returncode, INTERRUPTED, messages)
        with h5py.File(self.run_file, "r") as run:
            self.assertEqual(run.attrs["status"], "interrupted")
            done = int(run.attrs["committed_iterations"])
        self.assertEqual(self.latest(), self.checkpoint(done).name)
        wanted = {"train__iterations": done + 5}
        result = self.train(train__resume="auto", train__checkpoint_every=EVER, **wanted)
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assert_same_as_whole(self.whole_run(**wanted))


class Kills(ResumeTest):
    def ranks_of(self, mpirun):
        children = [child for list in pathlib.Path(f"/proc/{mpirun}/task").glob("*/children")
                    for child in list.read_text().split()]
        return [int(child) for child in children
                if "layerledger" in pathlib.Path(f"/proc/{child}/comm").read_text()]

    def saved(self):
        latest = self.checkpoints / "latest"
        return latest.read_text() if latest.exists() else ""

    def test_killed_at_random_it_ends_with_the_same_losses(self):
        generator = random.Random(7)
        wanted = {"train__iterations": 800}
        whole = self.whole_run(**wanted)
        settings = {"train.iterations": 800, "train.checkpoint_every": 10, "train.resume": "auto",
                    "output.commit_seconds": 0.05}
        killed = 0
        for _ in range(5):
            before = self.saved()
            job = subprocess.Popen(self.command(2, settings), stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL)
            self.addCleanup(job.kill)
            deadline = time.monotonic() + 60
            while self.saved() == before and job.poll() is None:
                self.assertLess(time.monotonic(), deadline)
                time.sleep(0.01)
            time.sleep(generator.uniform(0, 0.3))
            victims = self.ranks_of(job.pid)
            if victims:
                os.kill(generator.choice(victims), signal.SIGKILL)
            killed += job.wait(timeout=20) != 0
        self.assertGreater(killed, 0)
        result = self.train(train__checkpoint_every=10, train__resume="auto", **wanted)
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertGreater(len(self.assert_same_as_whole(whole)), 1)


class StillEnding(ResumeTest):
    def test_a_start_waits_for_the_last_moment_of_the_one_before(self):
        self.train(train__iterations=3, train__checkpoint_every=EVER)
        with open(self.run_file.with_suffix(".lock"), "w", encoding="utf-8") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            job = subprocess.Popen(self.command(2, {"train.iterations": 6,
                                                    "train.checkpoint_every": EVER,
                                                    "train.resume": "auto"}),
                                   stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
            self.addCleanup(job.kill)
            time.sleep(2)
            self.assertIsNone(job.poll())
        messages = job.communicate(timeout=60)[1]
        self.assertEqual(job.returncode, 0, messages)


if __name__ == "__main__":
    unittest.main()
