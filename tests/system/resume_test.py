"""Checkpoints as their users meet them: resuming, SIGUSR1, kills, full disks, wrong files, validation.

Runs the program named by the environment variable LAYERLEDGER under the command named by MPIRUN.
"""

import fcntl
import os
import pathlib
import random
import signal
import subprocess
import sys
import time
import unittest

from train_test import (BAD_DATA, CANNOT_CREATE, CONFIGURATION, MISSING, MPIRUN, PROGRAM, TrainTest,
                        write_images)

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
        result = self.train(train__iterations=40, train__resume=self.checkpoint(10),
                            train__checkpoint_every=EVER)
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assert_same_as_whole(whole)
        self.assertFalse(self.checkpoint(30).exists())

    def test_a_lost_run_file_is_begun_anew_at_the_resumed_iteration(self):
        whole = self.whole_run(train__iterations=40)
        self.train(train__iterations=20, train__checkpoint_every=EVER)
        self.run_file.unlink()
        result = self.train(train__iterations=40, train__checkpoint_every=EVER,
                            train__resume="auto")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assert_same_as_whole(whole, first=20)

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

    def test_a_file_of_an_older_version_goes_on(self):
        self.train(train__iterations=10, train__checkpoint_every=EVER)
        with h5py.File(self.run_file, "r+") as run:
            del run["starts"], run.attrs["missing_iterations"]
            run.attrs["schema_version"] = "1.1.0"
        result = self.train(train__iterations=20, train__checkpoint_every=EVER,
                            train__resume="auto")
        self.assertEqual(result.returncode, 0, result.stderr)
        with h5py.File(self.run_file, "r") as run:
            self.assertEqual(run.attrs["committed_iterations"], 20)
            self.assertEqual(len(run.attrs["history"].splitlines()), 2)
        checked = subprocess.run([PROGRAM, "check", self.run_file], capture_output=True, text=True,
                                 timeout=60)
        self.assertEqual(checked.returncode, 0, checked.stdout)


class StoppingOnRequest(ResumeTest):
    def test_all_ranks_stop_and_the_next_start_goes_on(self):
        job = subprocess.Popen(self.command(2, {"train.iterations": EVER}), text=True,
                               stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        self.addCleanup(job.kill)
        time.sleep(1.5)
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

    def test_killed_at_random_it_ends_with_the_same_losses(self):
        generator = random.Random(7)
        wanted = {"train__iterations": 800}
        whole = self.whole_run(**wanted)
        settings = {"train.iterations": 800, "train.checkpoint_every": 10, "train.resume": "auto",
                    "output.commit_seconds": 0.05}
        for _ in range(5):
            job = subprocess.Popen(self.command(2, settings), stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL)
            self.addCleanup(job.kill)
            time.sleep(generator.uniform(0.5, 1.2))
            victims = self.ranks_of(job.pid)
            if victims:
                os.kill(generator.choice(victims), signal.SIGKILL)
            job.wait(timeout=20)
        result = self.train(train__checkpoint_every=10, train__resume="auto", **wanted)
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assert_same_as_whole(whole)


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

    def test_those_of_an_earlier_run_are_kept(self):
        self.train(train__checkpoint_every=EVER)
        self.run_file.unlink()
        self.assertIn("train.resume", self.complaint(self.train(), CANNOT_CREATE))
        self.assertTrue(self.checkpoint(3).exists())
        self.assertFalse(self.run_file.exists())
        self.assertEqual(self.train(output__overwrite="true").returncode, 0)
        self.assertFalse(self.checkpoint(3).exists())


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
        self.complaint(self.train(**self.other), CANNOT_CREATE)
        self.assertEqual(self.run_file.read_bytes(), b"precious")
        self.assertTrue(self.checkpoint(10).exists())


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


class Validation(ResumeTest):
    def setUp(self):
        super().setUp()
        write_images(self.images)

    def validate(self, ranks, *words, network="lenet5", source="folder"):
        command = [*MPIRUN, "-n", str(ranks), PROGRAM, "validate", "--network.architecture",
                   network, "--train.batch_size", "4", "--data.source", source, "--data.root",
                   self.images, "--train.topk", "2", *words]
        return subprocess.run(command, timeout=120, stdin=subprocess.DEVNULL, capture_output=True,
                              text=True)

    def train_epochs(self, epochs=4, **settings):
        return self.on_images(train__epochs=epochs, train__iterations=0, train__topk=2,
                              train__checkpoint_every=EVER, **settings)

    def test_every_validation_is_recorded_and_changes_nothing(self):
        self.assertEqual(self.train_epochs().returncode, 0)
        with h5py.File(self.run_file, "r") as run:
            losses, last = run["loss"][:], run["validation/loss"][()]
        result = self.train_epochs(train__validate_every=1, output__overwrite="true")
        self.assertEqual(result.returncode, 0, result.stderr)
        with h5py.File(self.run_file, "r") as run:
            np.testing.assert_array_equal(run["loss"][:], losses)
            group = run["validation"]
            np.testing.assert_array_equal(group["validated_iteration"][:], [6, 12, 18, 24])
            np.testing.assert_array_equal(group["validated_images"][:], 15)
            self.assertEqual(group["validated_loss"][-1], last)
            self.assertEqual(group["loss"][()], last)
            self.assertEqual(group["iteration"][()], 24)
            np.testing.assert_array_equal(run["pauses/paused_kind"][:], [1, 1, 1, 0, 1])

    def test_a_validation_that_failed_is_all_that_is_done_again(self):
        victim = self.images / "val/class2/4.jpg"
        whole = victim.read_bytes()
        for validate_every, earlier in ((0, []), (1, [6, 12, 18])):
            with self.subTest(validate_every=validate_every):
                settings = {"train__validate_every": validate_every, "train__resume": "auto",
                            "output__directory": self.folder / f"every-{validate_every}"}
                self.run_file = settings["output__directory"] / "run.h5"
                if earlier:
                    self.train_epochs(3, **settings)
                victim.write_bytes(whole[:-200])
                result = self.train_epochs(**settings)
                self.complaint(result, BAD_DATA)
                with h5py.File(self.run_file, "r") as run:
                    self.assertEqual(run.attrs["status"], "complete")
                    starts, losses = run["iteration_start"][:], run["loss"][:]
                    clock = run["wall_clock/elapsed"][()]
                self.complaint(self.train_epochs(**settings), BAD_DATA)
                victim.write_bytes(whole)
                result = self.train_epochs(**settings)
                self.assertEqual(result.returncode, 0, result.stderr)
                self.assertIn("its last validation is not", result.stderr)
                with h5py.File(self.run_file, "r") as run:
                    self.assertEqual(run.attrs["status"], "complete")
                    np.testing.assert_array_equal(run["iteration_start"][:], starts)
                    np.testing.assert_array_equal(run["loss"][:], losses)
                    self.assertEqual(run["wall_clock/elapsed"][()], clock)
                    np.testing.assert_array_equal(run["validation/validated_iteration"][:],
                                                  [*earlier, 24])
                    self.assertEqual(run["validation/iteration"][()], 24)
                    self.assertEqual(run["starts/started_iteration"][-1], 24)
                result = self.train_epochs(**settings)
                self.assertEqual(result.returncode, 0, result.stderr)
                self.assertIn("nothing is left to do", result.stderr)

    def test_a_validation_that_was_cut_off_or_not_noted_as_the_end_is_neither_lost_nor_doubled(self):
        settings = {"train__resume": "auto", "train__validate_every": 2}
        self.assertEqual(self.train_epochs(**settings).returncode, 0)
        whole = self.run_file.read_bytes()
        for rows in (1, 2):  # as a kill leaves the file in the last validation, and right after it
            self.run_file.write_bytes(whole)
            with h5py.File(self.run_file, "r+") as run:
                run.attrs["status"] = "running"
                for name, data in run["validation"].items():
                    if data.shape:
                        data.resize((rows,))
            result = self.train_epochs(**settings)
            self.assertEqual(result.returncode, 0, result.stderr)
            self.assertEqual("validation after iteration 24" in result.stderr, rows == 1)
            with h5py.File(self.run_file, "r") as run:
                self.assertEqual(run.attrs["status"], "complete")
                np.testing.assert_array_equal(run["validation/validated_iteration"][:], [12, 24])

    def test_a_checkpoint_gives_what_training_found_on_any_number_of_ranks(self):
        self.assertEqual(self.train_epochs().returncode, 0)
        with h5py.File(self.run_file, "r") as run:
            found = run["validation/loss"][()]
        for ranks in (1, 2, 4):
            result = self.validate(ranks, "--checkpoint", self.checkpoint(24))
            self.assertEqual(result.returncode, 0, result.stderr)
            self.assertEqual(len(result.stdout.splitlines()), 1)
            self.assertIn(" 15 images", result.stdout)
            shown = float(result.stdout.split(" loss ")[1].split()[0])
            self.assertAlmostEqual(shown, found, delta=1e-5)

    def validate_alone(self, *words, **variables):
        """With nothing but the words that are given."""
        return subprocess.run([*MPIRUN, "-n", "2", PROGRAM, "validate", *words], timeout=120,
                              stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              env={**os.environ, **variables})

    def test_the_checkpoint_knows_its_network_and_its_images(self):
        settings = {"network__image_size": 40, "network__normalization": "batch"}
        self.assertEqual(self.train_epochs(**settings).returncode, 0)
        newest, older = self.checkpoint(24), self.checkpoint(12)
        older.write_bytes(newest.read_bytes())
        with h5py.File(self.run_file, "r") as run:
            found = run["validation/loss"][()]

        def assert_found(result, name=newest):
            self.assertEqual(result.returncode, 0, result.stderr)
            self.assertTrue(result.stdout.startswith(f"{name}: iteration 24  loss "), result.stdout)
            self.assertIn("top-2", result.stdout)
            shown = float(result.stdout.split(" loss ")[1].split()[0])
            self.assertAlmostEqual(shown, found, delta=1e-5)
        for path in (newest, self.checkpoints, self.checkpoints / "latest"):
            assert_found(self.validate_alone("--checkpoint", path))
        moved = self.folder / "elsewhere"
        self.images.rename(moved)
        self.assertIn(str(self.images), self.complaint(
            self.validate_alone("--checkpoint", newest), MISSING))
        config = self.folder / "elsewhere.cfg"
        config.write_text(f"[data]\nsource = folder\nroot = {moved}\n"
                          "[network]\narchitecture = lenet5\nimage_size = 40\nclasses = 3\n")
        assert_found(self.validate_alone("--checkpoint", newest, "--config", config))
        # The newest that is whole.
        newest.write_bytes(newest.read_bytes()[:1000])
        (self.checkpoints / "latest").unlink()
        result = self.validate_alone("--checkpoint", self.checkpoints / "latest",
                                     "--config", config)
        assert_found(result, older)
        self.assertIn("trying the one before", result.stderr)

    def test_what_contradicts_the_checkpoint_is_named(self):
        self.assertEqual(self.train_epochs().returncode, 0)
        path = self.checkpoint(24)
        config = self.folder / "other.cfg"
        config.write_text("[network]\nimage_size = 40\n")
        for words, variables, wanted in (
                (("--network.architecture", "alexnet"), {},
                 "network.architecture (lenet5 there, alexnet here, from command line)"),
                (("--network.classes", "10"), {}, "network.classes (0 there, 10 here"),
                ((), {"LAYERLEDGER_NETWORK__NORMALIZATION": "batch"}, "network.normalization ("),
                (("--config", config), {}, "network.image_size (")):
            complaint = self.complaint(
                self.validate_alone("--checkpoint", path, *words, **variables), CONFIGURATION)
            self.assertIn(wanted, complaint)
        more = self.folder / "more"
        write_images(more, classes=2)
        self.assertIn("classes are not 2", self.complaint(self.validate_alone(
            "--checkpoint", path, "--data.source", "folder", "--data.root", more), CONFIGURATION))

    def test_wrong_words_and_files(self):
        self.assertEqual(self.train_epochs().returncode, 0)
        path = self.checkpoint(24)
        self.assertIn("--checkpoint", self.complaint(self.validate(2), USAGE))
        for missing in (self.folder / "nowhere", self.folder / "nowhere/latest", self.images):
            self.assertIn(str(missing.parent), self.complaint(
                self.validate(2, "--checkpoint", missing), MISSING))
        self.complaint(self.validate(2, "--checkpoint", self.images / "val/class0/0.jpg"), BAD_DATA)
        self.assertIn("NAME.checkpoints", self.complaint(
            self.validate(2, "--checkpoint", self.run_file), BAD_DATA))
        self.assertIn("network", self.complaint(
            self.validate(2, "--checkpoint", path, network="alexnet"), CONFIGURATION))
        self.complaint(self.validate(2, "--checkpoint", path, source="synthetic"), MISSING)
        path.write_bytes(path.read_bytes()[:1000])
        self.assertIn("is whole", self.complaint(
            self.validate(2, "--checkpoint", self.checkpoints), BAD_DATA))
        other = self.folder / "other.h5"
        with h5py.File(other, "w"):
            pass
        self.complaint(self.validate(2, "--checkpoint", other), BAD_DATA)

    def test_training_goes_on_from_a_folder(self):
        self.assertEqual(self.train_epochs(2).returncode, 0)
        result = self.train_epochs(train__resume=self.checkpoints)
        self.assertEqual(result.returncode, 0, result.stderr)
        with h5py.File(self.run_file, "r") as run:
            np.testing.assert_array_equal(run["starts/started_iteration"][:], [0, 12])


if __name__ == "__main__":
    unittest.main()
