"""Validation during and after training, and of a checkpoint by the validate command.

Runs the program named by the environment variable LAYERLEDGER under the command named by MPIRUN.
"""

import os
import signal
import subprocess
import time
import unittest

from resume_support import EVER, INTERRUPTED, USAGE, ResumeTest
from train_test import BAD_DATA, CONFIGURATION, MISSING, MPIRUN, PROGRAM, write_images

import h5py
import numpy as np


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

    def test_a_request_to_stop_in_a_validation_leaves_it_to_the_next_start(self):
        self.images = self.folder / "many"
        write_images(self.images, val=1500)  # a pass takes longer than the epoch before it
        settings = {"epochs": 8, "train__validate_every": 1, "train__resume": "auto"}
        undisturbed = self.folder / "undisturbed"
        result = self.train_epochs(**settings, output__directory=undisturbed)
        self.assertEqual(result.returncode, 0, result.stderr)
        with h5py.File(undisturbed / "run.h5", "r") as run:
            wanted = {name: run["validation"][name][:] for name in
                      ("validated_iteration", "validated_images", "validated_loss")}
        words = {f"train.{name}": value for name, value in
                 (("epochs", 8), ("iterations", 0), ("topk", 2), ("checkpoint_every", EVER),
                  ("validate_every", 1), ("resume", "auto"))}
        words |= {"data.source": "folder", "data.root": self.images}
        for _ in range(5):  # the request may come between two validations
            job = subprocess.Popen(self.command(2, words), text=True, stdin=subprocess.DEVNULL,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
            self.addCleanup(job.kill)
            for line in job.stderr:
                if "validation after iteration" in line:
                    break
            time.sleep(0.2)
            job.send_signal(signal.SIGUSR1)
            messages = job.communicate(timeout=60)[1]
            self.assertEqual(job.returncode, INTERRUPTED, messages)
            if "is left to the next start" in messages:
                break
        else:
            self.fail("no validation was met")
        with h5py.File(self.run_file, "r") as run:
            self.assertEqual(run.attrs["status"], "interrupted")
            done = int(run["iteration"][-1]) + 1
            self.assertLess(run["validation/validated_iteration"][-1], done)
        self.assertEqual(self.latest(), self.checkpoint(done).name)
        result = self.train_epochs(**settings)
        self.assertEqual(result.returncode, 0, result.stderr)
        with h5py.File(self.run_file, "r") as run:
            for name, values in wanted.items():
                np.testing.assert_array_equal(run["validation"][name][:], values, name)

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
        assert_found(self.validate_alone("--checkpoint", newest, "--data.root", moved))
        assert_found(self.validate_alone("--checkpoint", newest,
                                         LAYERLEDGER_DATA__ROOT=str(moved)))
        printed = self.validate_alone("--checkpoint", newest, "--data.root", moved,
                                      "--print-config")
        for words in ("source = folder", f"root = {moved}", "image_size = 40"):
            self.assertIn(words, printed.stdout)
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
        self.assertIn("set data.source", self.complaint(self.validate_alone(
            "--checkpoint", path, "--data.root", self.images, "--data.file", "x.h5"),
            CONFIGURATION))
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
