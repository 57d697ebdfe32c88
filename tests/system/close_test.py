"""`layerledger close` after a training that was killed: what of it says "running" says "failed" then.

Runs the program named by the environment variable LAYERLEDGER.
"""

import csv
import os
import pathlib
import subprocess
import sys
import tempfile
import time
import unittest

try:
    import h5py
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(77)

PROGRAM = os.environ["LAYERLEDGER"]
CANNOT_CREATE, CONFIGURATION = 73, 78


class Close(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.run_file = self.folder / "run.h5"
        self.settings = {"network.architecture": "lenet5", "train.batch_size": 4,
                         "train.iterations": 10**6, "device.threads": 1, "output.progress": "none",
                         "output.directory": self.folder, "output.file": "run.h5",
                         "output.commit_seconds": 0.1}

    def words(self, command, *more):
        return [PROGRAM, command, *(f"--{key}={value}" for key, value in self.settings.items()), *more]

    def close(self, *more, code=0):
        """What it says."""
        done = subprocess.run(self.words("close", *more), capture_output=True, text=True, timeout=60,
                              check=False)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        self.assertEqual((done.stdout if code else done.stderr), "")
        return done.stderr if code else done.stdout

    def committed(self, path):
        try:
            with h5py.File(path) as run:
                return int(run.attrs["committed_iterations"])
        except OSError:  # not there yet, or being written
            return 0

    def status(self, path):
        deadline = time.monotonic() + 30
        while True:
            try:
                with h5py.File(path) as run:
                    return run.attrs["status"]
            except OSError:  # just being written
                self.assertLess(time.monotonic(), deadline)
                time.sleep(0.05)

    def start(self):
        job = subprocess.Popen(self.words("train"), stdin=subprocess.DEVNULL,
                               stdout=subprocess.DEVNULL)
        self.addCleanup(job.wait)
        self.addCleanup(job.kill)
        return job

    def wait_for(self, job, condition):
        deadline = time.monotonic() + 60
        while not condition():
            self.assertLess(time.monotonic(), deadline, "training did not begin")
            self.assertIsNone(job.poll())
            time.sleep(0.05)

    def start_and_kill(self, condition):
        job = self.start()
        self.wait_for(job, condition)
        job.kill()
        job.wait()

    def train_and_kill(self, path):
        """Leaves a run file with some iterations in it."""
        self.start_and_kill(lambda: self.committed(path) >= 20)
        self.assertEqual(self.status(path), "running")

    def index(self):
        with open(self.folder / "several" / "index.csv", newline="") as index:
            return list(csv.DictReader(index))

    def test_a_killed_run_says_failed_and_how_far_it_came(self):
        self.train_and_kill(self.run_file)
        said = self.close()
        rows = self.committed(self.run_file)
        self.assertIn(f"run.h5' says failed: it was cut off after iteration {rows - 1}, the last that "
                      "is in it", said)
        self.assertEqual(self.status(self.run_file), "failed")
        self.assertEqual(list(self.folder.glob("*.lock")), [])
        subprocess.run([PROGRAM, "check", self.run_file], check=True, capture_output=True, timeout=60)
        self.assertIn("run.h5' says failed\n", self.close())

    def test_a_run_that_goes_on_is_left_alone(self):
        job = self.start()
        self.wait_for(job, lambda: self.committed(self.run_file) >= 20)
        self.assertRegex(self.close(code=CANNOT_CREATE),
                         rf"another start is writing this run .*process {job.pid} on ")
        self.assertEqual(self.status(self.run_file), "running")
        self.assertIsNone(job.poll())

    def test_a_file_that_another_program_reads_is_left_alone_and_that_is_said(self):
        self.train_and_kill(self.run_file)
        with h5py.File(self.run_file):
            self.assertIn("still says running", self.close(code=CANNOT_CREATE))
        self.assertEqual(self.status(self.run_file), "running")

    def test_a_run_that_has_said_how_it_ended_is_left_alone(self):
        self.settings["train.iterations"] = 20
        subprocess.run(self.words("train"), check=True, capture_output=True, timeout=60)
        before = self.run_file.read_bytes()
        self.assertIn("run.h5' says complete\n", self.close())
        self.assertEqual(self.run_file.read_bytes(), before)

    def test_where_nothing_was_written_nothing_is_done(self):
        self.assertIn("run.h5' is not there\n", self.close())
        self.assertIn("index.csv' is not there\n", self.close("--experiment.repetitions=3"))
        self.assertEqual(list(self.folder.iterdir()), [])

    def test_settings_that_make_no_sense_are_refused_as_by_train(self):
        self.assertIn("experiment.repetition", self.close("--experiment.repetition=3", code=CONFIGURATION))
        self.settings["output.file"] = "run"
        self.assertIn("does not end in .h5", self.close(code=CONFIGURATION))

    def test_a_start_that_would_only_have_been_tried_has_nothing_to_close(self):
        self.train_and_kill(self.run_file)
        self.assertEqual(self.close("--dry-run"), "")
        self.assertEqual(self.status(self.run_file), "running")

    def test_of_repetitions_the_index_says_it_too(self):
        self.settings |= {"experiment.repetitions": 3, "experiment.name": "several"}
        run_file = self.folder / "several" / "repetition-01" / "run.h5"
        self.train_and_kill(run_file)
        self.assertEqual([row["status"] for row in self.index()], ["running", "waiting", "waiting"])
        self.assertIn("repetition 1: ", self.close())
        self.assertEqual(self.status(run_file), "failed")
        rows = self.index()
        self.assertEqual([row["status"] for row in rows], ["failed", "waiting", "waiting"])
        self.assertIn("was cut off after iteration", rows[0]["reason"])
        self.assertIn("index.csv' calls none running\n", self.close())

    def test_the_last_iteration_is_told_by_its_number(self):
        self.train_and_kill(self.run_file)
        with h5py.File(self.run_file, "r+") as run:  # as where a run was begun in another file
            run["iteration"][:] += 1000
        said = self.close()
        self.assertIn(f"after iteration {999 + self.committed(self.run_file)}, the last", said)

    def test_of_a_repetition_the_run_file_knows_best(self):
        self.settings |= {"experiment.repetitions": 2, "experiment.name": "several",
                          "train.iterations": 20}
        subprocess.run(self.words("train"), check=True, capture_output=True, timeout=60)
        before = self.index()
        index = self.folder / "several" / "index.csv"
        lines = index.read_text().splitlines(keepends=True)
        index.write_text(lines[0] + lines[1] + "2,2,repetition-02,running,,,,,,\n")
        self.assertIn("run.h5' says complete", self.close())
        columns = ("status", "exit_code", "iteration_ms", "images_per_s", "reason")
        self.assertEqual(*([row[1][name] for name in columns] for row in (before, self.index())))
        index.write_text(lines[0] + lines[1] + "2,2,repetition-02,running,,,,,,\n")
        (self.folder / "several" / "repetition-02" / "run.h5").write_bytes(b"no run file")
        self.close()
        self.assertEqual([row["status"] for row in self.index()], ["complete", "failed"])
        self.assertIn("run.h5", self.index()[1]["reason"])

    def test_of_a_repetition_that_was_killed_before_it_wrote_anything_the_index_says_it(self):
        self.settings |= {"experiment.repetitions": 2, "experiment.name": "several",
                          "output.commit_seconds": 600}
        index = self.folder / "several" / "index.csv"
        self.start_and_kill(lambda: index.exists() and self.index()[0]["status"] == "running")
        self.close()
        rows = self.index()
        self.assertEqual([row["status"] for row in rows], ["failed", "waiting"])
        self.assertRegex(rows[0]["reason"], "is not there$|before anything was in it, and is removed$")
        self.assertFalse((self.folder / "several" / "repetition-01" / "run.h5").exists())

    def test_the_twin_without_profiling_is_closed_too(self):
        self.settings |= {"profile.twin": "true", "train.iterations": 5000}
        of_twin = self.folder / "unprofiled" / "run.h5"
        self.start_and_kill(lambda: self.committed(of_twin) >= 1)
        self.assertEqual(self.status(of_twin), "running")
        said = self.close()
        self.assertIn("run.h5' says complete; ", said)
        self.assertIn("unprofiled/run.h5' says failed", said)
        self.assertEqual(self.status(of_twin), "failed")


if __name__ == "__main__":
    unittest.main()
