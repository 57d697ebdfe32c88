"""Repetitions of an experiment: their index, failures of one of them, going on, two starts at once.

Runs the program named by the environment variable LAYERLEDGER, behind the command named by MPIRUN.
"""

import os
import pathlib
import re
import signal
import socket
import sys
import time
import unittest

try:
    import h5py
    import numpy as np

    from experiment_support import (CANNOT_CREATE, CONFIGURATION, MISSING, ExperimentTest, rows_of,
                                    write_images)
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(77)

BAD_DATA = 65


def committed(run_file):
    """Iterations in a run file that is being written; 0 where it cannot be read yet."""
    try:
        with h5py.File(run_file) as run:
            return run.attrs["committed_iterations"]
    except OSError:
        return 0


def kill(job):
    """The launcher and its ranks at once, as a node that loses its power."""
    ranks = pathlib.Path(f"/proc/{job.pid}/task/{job.pid}/children").read_text().split()
    for process in (job.pid, *map(int, ranks)):
        os.kill(process, signal.SIGKILL)
    job.wait()
    while any(pathlib.Path(f"/proc/{rank}").exists() for rank in ranks):
        time.sleep(0.01)


class Repetitions(ExperimentTest):
    def test_each_has_its_folder_seed_and_row(self):
        result = self.train(experiment__repetitions=3, experiment__seed=41, output__csv="true")
        self.assertEqual(result.returncode, 0, result.stderr)
        rows = rows_of(self.index)
        self.assertEqual([row["repetition"] for row in rows], ["1", "2", "3"])
        self.assertEqual([row["seed"] for row in rows], ["41", "42", "43"])
        self.assertEqual({(row["status"], row["exit_code"]) for row in rows}, {("complete", "0")})
        for row in rows:
            folder = self.index.parent / row["directory"]
            self.assertEqual({path.name for path in folder.iterdir()},
                             {"lenet.h5", "lenet.log", "lenet.layers.csv", "lenet.iterations.csv",
                              "lenet.experiment.csv"})
            with h5py.File(folder / "lenet.h5") as run:
                self.assertEqual(run["config/experiment.seed"].asstr()[()], row["seed"])
                self.assertIn("repetition", run["config/experiment.seed"].attrs["origin"])
                self.assertEqual(run["config/experiment.repetitions"].asstr()[()], "1")
                slowest = run["iteration_time"][2:].max(axis=1)
                self.assertAlmostEqual(float(row["iteration_ms"]), np.median(slowest) / 1e3, 4)
            log = (folder / "lenet.log").read_text()
            self.assertRegex(log, rf"(?m)^\S+Z info: repetition {row['repetition']} of 3")
            self.assertRegex(log, r"(?m)^\S+Z iteration 12/12 ")
            self.assertIn("allreduce_transfer", log)
            self.assertEqual(log.count("iteration 1/12 "), 1)
        first, second, _ = (self.losses(self.index.parent / row["directory"] / "lenet.h5")
                            for row in rows)
        self.assertFalse(np.array_equal(first, second))
        # The first is the run that one training with the given seed is; so is the second with its.
        alone = self.train(experiment__seed=42)
        self.assertEqual(alone.returncode, 0, alone.stderr)
        np.testing.assert_array_equal(self.losses(self.runs / "lenet.h5"), second)
        self.assertTrue((self.runs / "lenet.log").exists())

    def test_one_that_fails_is_marked_and_the_rest_go_on(self):
        blocked = self.index.parent / "repetition-02"
        blocked.parent.mkdir(parents=True)
        blocked.write_text("no folder")
        result = self.train(experiment__repetitions=3)
        self.assertEqual(result.returncode, CANNOT_CREATE, result.stderr)
        self.assertEqual([(row["status"], row["exit_code"]) for row in rows_of(self.index)],
                         [("complete", "0"), ("failed", str(CANNOT_CREATE)), ("complete", "0")])
        self.assertIn("repetition 2 of 3 failed", result.stderr)
        self.assertIn("1 of 3 repetitions failed", result.stderr)
        self.losses(self.index.parent / "repetition-03" / "lenet.h5")

    def test_what_is_wrong_with_all_is_said_once_and_leaves_nothing(self):
        for settings, code in (({"data__source": "folder", "data__root": "/none"}, MISSING),
                               ({"network__architecture": "lenet6"}, CONFIGURATION)):
            result = self.train(experiment__repetitions=3, **settings)
            self.assertEqual(result.returncode, code, result.stderr)
            self.assertEqual(result.stderr.count("error: "), 1, result.stderr)
            self.assertFalse(self.index.parent.exists())

    def test_an_index_that_is_there_is_kept(self):
        self.assertEqual(self.train(experiment__repetitions=2).returncode, 0)
        before = self.index.read_bytes()
        for settings, says in (
                ({"experiment__repetitions": 2}, "all repetitions are complete"),
                ({"experiment__repetitions": 2, "train__learning_rate": 0.5},
                 "train.learning_rate (0.01 there, 0.5 here)"),
                ({"experiment__repetitions": 2, "experiment__seed": 9},
                 "experiment.seed (1 there, 9 here)")):
            result = self.train(**settings)
            self.assertEqual(result.returncode, CANNOT_CREATE)
            self.assertIn("--output.overwrite", result.stderr)
            self.assertIn(says, result.stderr)
            self.assertEqual(self.index.read_bytes(), before)
        result = self.train(experiment__repetitions=2, output__overwrite="true",
                            data__source="folder", data__root="/none")
        self.assertEqual(result.returncode, MISSING, result.stderr)
        self.assertEqual(self.index.read_bytes(), before)
        self.assertEqual(self.train(experiment__repetitions=2, output__overwrite="true").returncode, 0)

    def test_more_of_them_are_trained_in_addition(self):
        self.assertEqual(self.train(experiment__repetitions=2).returncode, 0)
        kept = [self.index.parent / f"repetition-0{i}" / "lenet.h5" for i in (1, 2)]
        before = [path.read_bytes() for path in kept]
        result = self.train(experiment__repetitions=3)
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertIn("2 of 3 repetitions are complete", result.stderr)
        self.assertEqual([(row["seed"], row["status"]) for row in rows_of(self.index)],
                         [("1", "complete"), ("2", "complete"), ("3", "complete")])
        self.assertEqual([path.read_bytes() for path in kept], before)
        self.losses(self.index.parent / "repetition-03" / "lenet.h5")
        fewer = self.train(experiment__repetitions=2)
        self.assertEqual(fewer.returncode, CANNOT_CREATE)
        self.assertIn("experiment.repetitions (3 there, 2 here)", fewer.stderr)

    def test_one_whose_run_file_is_gone_is_trained_again(self):
        self.assertEqual(self.train(experiment__repetitions=2).returncode, 0)
        gone = self.index.parent / "repetition-01" / "lenet.h5"
        losses = self.losses(gone)
        gone.unlink()
        result = self.train(experiment__repetitions=2)
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertIn("repetition-01/lenet.h5' is not there", result.stderr)
        np.testing.assert_array_equal(self.losses(gone), losses)
        self.assertEqual([row["status"] for row in rows_of(self.index)], ["complete"] * 2)

    def test_more_of_them_want_the_same_images(self):
        images = self.folder / "images"
        write_images(images, 2, count=8)
        settings = {"data__source": "folder", "data__root": images, "train__topk": 2,
                    "train__iterations": 4}
        self.assertEqual(self.train(experiment__repetitions=2, **settings).returncode, 0)
        (images / "train/class0/0.jpg").rename(images / "train/class1/x.jpg")
        result = self.train(experiment__repetitions=3, **settings)
        self.assertEqual(result.returncode, CANNOT_CREATE, result.stderr)
        self.assertIn("are not those of the repetitions that are complete", result.stderr)
        self.assertEqual([row["status"] for row in rows_of(self.index)],
                         ["complete", "complete", "failed"])

    def test_the_same_command_goes_on_with_what_is_not_complete(self):
        blocked = self.index.parent / "repetition-02"
        blocked.parent.mkdir(parents=True)
        blocked.write_text("no folder")
        self.assertEqual(self.train(experiment__repetitions=3).returncode, CANNOT_CREATE)
        kept = self.index.parent / "repetition-03" / "lenet.h5"
        before = kept.read_bytes()
        blocked.unlink()
        result = self.train(experiment__repetitions=3)
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertIn("2 of 3 repetitions are complete", result.stderr)
        self.assertEqual([row["status"] for row in rows_of(self.index)], ["complete"] * 3)
        self.assertEqual(kept.read_bytes(), before)

    def test_what_one_rank_cannot_read_fails_that_repetition_alone(self):
        images = self.folder / "images"
        write_images(images, 2, count=8)
        victim = images / "train/class1/5.jpg"
        victim.write_bytes(victim.read_bytes()[:-60])
        # One of the epoch's two iterations has the victim; which one and on which rank, the seed says.
        result = self.train(experiment__repetitions=8, data__source="folder", data__root=images,
                            train__topk=2, train__iterations=1)
        self.assertEqual(result.returncode, BAD_DATA, result.stderr)
        rows = rows_of(self.index)
        failed = [row for row in rows if row["status"] == "failed"]
        self.assertEqual({row["exit_code"] for row in failed}, {str(BAD_DATA)})
        for row in failed:
            self.assertIn("class1/5.jpg", row["reason"])
            self.assertFalse((self.index.parent / row["directory"] / "lenet.h5").exists())
        # The reason is rank 0's own, or what rank 1 told it.
        told = [row for row in failed if "rank 1: " in row["reason"]]
        self.assertGreater(len(told), 0)
        self.assertGreater(len(failed) - len(told), 0, rows)
        complete = [row for row in rows if row["status"] == "complete"]
        self.assertEqual(len(complete) + len(failed), 8)
        self.assertGreater(len(complete), 0)
        self.assertEqual({row["reason"] for row in complete}, {""})
        for row in complete:
            self.losses(self.index.parent / row["directory"] / "lenet.h5")
        self.assertEqual(result.stderr.count("class1/5.jpg"), len(failed), result.stderr)
        self.assertIn(f"{len(failed)} of 8 repetitions failed", result.stderr)

    def kill_in_second_repetition(self, is_time, **settings):
        """What the first one's file holds when the second is killed."""
        job = self.start(**settings)
        self.wait_for(lambda: is_time(self.index.parent / "repetition-02"), job)
        kill(job)
        self.assertEqual([row["status"] for row in rows_of(self.index)], ["complete", "running"])
        first = self.index.parent / "repetition-01" / "lenet.h5"
        return first.read_bytes()

    def test_one_that_was_killed_begins_anew_and_keeps_what_it_had(self):
        settings = {"experiment__repetitions": 2, "train__iterations": 2000,
                    "output__commit_seconds": 0.01}
        before = self.kill_in_second_repetition(
            lambda folder: committed(folder / "lenet.h5") > 0, **settings)
        result = self.train(**settings)
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertIn("1 of 2 repetitions are complete", result.stderr)
        self.assertEqual((self.index.parent / "repetition-01" / "lenet.h5").read_bytes(), before)
        self.assertEqual([row["status"] for row in rows_of(self.index)], ["complete"] * 2)
        second = self.index.parent / "repetition-02"
        self.assertEqual(self.losses(second / "lenet.h5").size, 2000)
        with h5py.File(second / "lenet.unfinished-1.h5") as run:
            self.assertLess(run.attrs["committed_iterations"], 2000)
        self.assertIn("lenet.unfinished-1.h5", result.stderr)

    def test_what_was_killed_keeps_its_lists_of_images_and_names_them(self):
        images = self.folder / "images"
        write_images(images, 2, count=8)
        settings = {"experiment__repetitions": 2, "train__iterations": 1000, "train__topk": 2,
                    "output__commit_seconds": 0.01, "data__source": "folder", "data__root": images}
        self.kill_in_second_repetition(lambda folder: committed(folder / "lenet.h5") > 0, **settings)
        result = self.train(**settings)
        self.assertEqual(result.returncode, 0, result.stderr)
        for name in ("lenet.unfinished-1", "lenet"):
            run_file = self.index.parent / "repetition-02" / f"{name}.h5"
            with h5py.File(run_file) as run:
                for part in ("train", "val"):
                    named = run["labels"].attrs[f"{part}_list"]
                    self.assertEqual(named, f"{name}.{part}.tsv")
                    lines = (run_file.parent / named).read_text().splitlines()
                    self.assertEqual(len(lines), run["labels"].attrs[f"{part}_images"])

    def test_with_other_settings_than_what_is_complete_it_is_refused(self):
        settings = {"experiment__repetitions": 2, "train__iterations": 2000}
        before = self.kill_in_second_repetition(pathlib.Path.exists, **settings)
        for ranks, changed, named in (
                (2, {"train__learning_rate": 0.5}, ["train.learning_rate (0.01 there, 0.5 here)"]),
                (2, {"profile__level": "op", "train__iterations": 9},
                 ["train.iterations (2000 there, 9 here)", "profile.level (layer there, op here)"]),
                (1, {}, ["ranks (2 there, 1 here)"])):
            result = self.train(ranks, **{**settings, **changed})
            self.assertEqual(result.returncode, CANNOT_CREATE, result.stderr)
            for words in [*named, "repetition-01/lenet.h5", "--output.overwrite"]:
                self.assertIn(words, result.stderr)
        self.assertEqual((self.index.parent / "repetition-01" / "lenet.h5").read_bytes(), before)
        result = self.train(**settings, sync__timeout_seconds=60, output__csv="true")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertEqual([row["status"] for row in rows_of(self.index)], ["complete"] * 2)

    def test_one_that_was_killed_resumes_from_its_checkpoint(self):
        settings = {"experiment__repetitions": 2, "train__iterations": 2000,
                    "train__checkpoint_every": 50, "train__resume": "auto"}
        before = self.kill_in_second_repetition(
            lambda folder: any(folder.glob("lenet.checkpoints/checkpoint-*.h5")), **settings)
        result = self.train(**settings)
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertIn("going on after iteration ", result.stderr)
        self.assertEqual((self.index.parent / "repetition-01" / "lenet.h5").read_bytes(), before)
        second = self.index.parent / "repetition-02"
        self.assertEqual(self.losses(second / "lenet.h5").size, 2000)
        self.assertEqual(list(second.glob("*unfinished*")), [])

    def test_a_twin_that_was_killed_is_repeated_and_its_profiled_run_kept(self):
        settings = {"experiment__repetitions": 2, "profile__twin": "true", "output__csv": "true",
                    "output__commit_seconds": 0.01, "train__iterations": 3000}
        folder = self.index.parent / "repetition-01"
        job = self.start(**settings)
        self.wait_for(lambda: committed(folder / "unprofiled" / "lenet.h5") > 0, job)
        kill(job)
        before = self.losses(folder / "lenet.h5")
        result = self.train(**settings)
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertIn("repetition-01/lenet.h5' is complete", result.stderr)
        self.assertTrue((folder / "unprofiled" / "lenet.unfinished-1.h5").exists())
        self.assertFalse((folder / "lenet.unfinished-1.h5").exists())
        np.testing.assert_array_equal(self.losses(folder / "lenet.h5"), before)
        self.assertEqual([row["status"] for row in rows_of(self.index)], ["complete"] * 2)
        row, = rows_of(folder / "lenet.experiment.csv")
        self.assertNotEqual(row["twin.percent"], "")

    def test_a_kill_leaves_a_whole_index(self):
        job = self.start(experiment__repetitions=2, train__iterations=10**6)
        self.wait_for((self.index.parent / "repetition-01" / "lenet.h5").exists, job)
        kill(job)
        self.assertEqual([row["status"] for row in rows_of(self.index)], ["running", "waiting"])


class TwoStarts(ExperimentTest):
    def test_the_second_is_refused_and_told_who_runs(self):
        for repetitions in (1, 2):
            with self.subTest(repetitions=repetitions):
                settings = {"experiment__repetitions": repetitions, "train__iterations": 10**6,
                            "output__overwrite": "true"}
                lock = self.runs / "lenet.lock"
                lock.unlink(missing_ok=True)  # of the one that was killed before
                job = self.start(**settings)
                self.wait_for(lambda: lock.exists() and lock.read_text(), job)
                result = self.train(**settings)
                self.assertEqual(result.returncode, CANNOT_CREATE, result.stderr)
                self.assertIn(f"on {socket.gethostname()}", result.stderr)
                process = int(re.search(r"held by process (\d+) on", result.stderr).group(1))
                self.assertIn(b"layerledger", pathlib.Path(f"/proc/{process}/cmdline").read_bytes())
                self.assertIsNone(job.poll(), "the first one goes on")
                kill(job)

    def test_a_killed_one_holds_nothing_and_one_that_ends_leaves_no_lock(self):
        job = self.start(train__iterations=10**6)
        self.wait_for((self.runs / "lenet.h5").exists, job)
        kill(job)
        self.assertTrue((self.runs / "lenet.lock").exists())
        result = self.train(output__overwrite="true")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertFalse((self.runs / "lenet.lock").exists())

    def test_two_runs_with_names_of_their_own_may_share_a_folder(self):
        job = self.start(train__iterations=10**6)
        self.wait_for((self.runs / "lenet.h5").exists, job)
        result = self.train(experiment__name="other")
        self.assertEqual(result.returncode, 0, result.stderr)
        kill(job)


class Announcement(ExperimentTest):
    def test_says_what_is_trained_on_what_and_where_it_goes(self):
        result = self.train()
        self.assertRegex(result.stderr, r"lenet5, 10 classes, .* 2 ranks x 4 images on .*; 12 iter")
        self.assertIn(f"images: synthetic; output: '{self.runs}/lenet.h5'", result.stderr)
        images = self.folder / "images"
        write_images(images, 2, count=8)
        result = self.train(data__source="folder", data__root=images, train__topk=2,
                            experiment__name="folder")
        self.assertIn(f"images: folder '{images}', 16 for training, 16 for validation; output: ",
                      result.stderr)


if __name__ == "__main__":
    unittest.main()
