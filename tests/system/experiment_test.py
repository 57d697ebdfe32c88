"""Experiments of several trainings: repetitions, the twin without profiling, shipped configurations.

Runs the program named by the environment variable LAYERLEDGER, behind the command named by MPIRUN.
"""

import csv
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import time
import unittest

try:
    import h5py
    import numpy as np
    from PIL import Image
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(77)

PROGRAM = os.environ["LAYERLEDGER"]
MPIRUN = os.environ["MPIRUN"].split()
CONFIGS = pathlib.Path(__file__).parents[2] / "configs"
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

    def losses(self, path):
        with h5py.File(path) as run:
            self.assertEqual(run.attrs["status"], "complete")
            return run["loss"][:]


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
                             {"lenet.h5", "lenet.log", "layers.csv", "iterations.csv",
                              "experiment.csv"})
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
        for settings in ({"experiment__repetitions": 2}, {"experiment__repetitions": 3},
                         {"experiment__repetitions": 2, "experiment__seed": 9}):
            result = self.train(**settings)
            self.assertEqual(result.returncode, CANNOT_CREATE)
            self.assertIn("--output.overwrite", result.stderr)
            self.assertEqual(self.index.read_bytes(), before)
        self.assertEqual(self.train(experiment__repetitions=2, output__overwrite="true").returncode, 0)

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

    def test_an_error_of_one_rank_ends_the_job_and_the_index_says_how_far_it_came(self):
        images = self.folder / "images"
        write_images(images, 2, count=8)
        victim = images / "train/class1/5.jpg"
        victim.write_bytes(victim.read_bytes()[:-60])
        result = self.train(experiment__repetitions=2, data__source="folder", data__root=images,
                            train__topk=2)
        self.assertNotEqual(result.returncode, 0)
        first, second = rows_of(self.index)
        self.assertEqual((first["status"], first["exit_code"]), ("failed", str(result.returncode)))
        self.assertEqual((second["status"], second["exit_code"]), ("waiting", ""))

    def test_a_kill_leaves_a_whole_index(self):
        job = subprocess.Popen(self.command(experiment__repetitions=2, train__iterations=10**6),
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 60
        run_file = self.index.parent / "repetition-01" / "lenet.h5"
        while not run_file.exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        job.send_signal(signal.SIGKILL)
        job.wait()
        self.assertEqual([row["status"] for row in rows_of(self.index)], ["running", "waiting"])


class Tables(ExperimentTest):
    def test_old_tables_are_kept(self):
        self.runs.mkdir()
        (self.runs / "layers.csv").write_text("precious")
        result = self.train(output__csv="true")
        self.assertEqual(result.returncode, CANNOT_CREATE)
        self.assertIn("layers.csv", result.stderr)
        self.assertEqual([path.name for path in self.runs.iterdir()], ["layers.csv"])


class Twin(ExperimentTest):
    def test_the_same_run_without_profiling(self):
        result = self.train(profile__twin="true", profile__overhead_check="true", output__csv="true",
                            train__iterations=30)
        self.assertEqual(result.returncode, 0, result.stderr)
        run_file, twin_file = self.runs / "lenet.h5", self.runs / "unprofiled" / "lenet.h5"
        np.testing.assert_array_equal(self.losses(run_file), self.losses(twin_file))
        with h5py.File(run_file) as run, h5py.File(twin_file) as twin:
            self.assertEqual(twin.attrs["level"], "off")
            self.assertTrue(np.isnan(twin["layer_time"][:]).all())
            chosen = (run["profiled"][:] != 0) & (run["warmup"][:] == 0)
            profiled = run["iteration_time"][:].max(axis=1)[chosen].astype(float)
            unprofiled = twin["iteration_time"][:].max(axis=1)[2:].astype(float)
            facts = {name: value[()] for name, value in run["twin"].items()}
            self.assertAlmostEqual(facts["profiled"], profiled.mean(), 3)
            self.assertAlmostEqual(facts["unprofiled"], unprofiled.mean(), 3)
            self.assertAlmostEqual(facts["percent"],
                                   (profiled.mean() / unprofiled.mean() - 1) * 100, 6)
            self.assertAlmostEqual(facts["median_percent"],
                                   (np.median(profiled) / np.median(unprofiled) - 1) * 100, 6)
            self.assertNotIn("twin", twin)
        row, = rows_of(self.runs / "experiment.csv")
        self.assertAlmostEqual(float(row["twin.percent"]), facts["percent"], 6)
        said = re.search(r"profiling against none: ([+-][0-9.]+) %", result.stdout)
        self.assertAlmostEqual(float(said.group(1)), facts["percent"], delta=0.006)
        self.assertIn("within the profiled run: ", result.stdout)
        for command in ("check", "summary"):
            seen = subprocess.run([PROGRAM, command, run_file], capture_output=True, text=True,
                                  timeout=60)
            self.assertEqual(seen.returncode, 0, seen.stdout)
        self.assertIn("twin, unprofiled", seen.stdout)

    def test_needs_a_level(self):
        result = self.train(profile__twin="true", profile__level="off")
        self.assertEqual(result.returncode, CONFIGURATION)
        self.assertIn("profile.twin", result.stderr)
        self.assertFalse(self.runs.exists())


class Memory(ExperimentTest):
    def test_what_layers_and_ranks_hold(self):
        self.assertEqual(self.train(train__batch_size=64).returncode, 0)
        with h5py.File(self.runs / "lenet.h5") as run:
            parameters = run["layer_parameters"][:]
            held = run["layer_parameter_bytes"][:]
            self.assertTrue((held >= 4 * parameters).all())
            self.assertTrue((held <= 4 * parameters * 2 + 1024).all(), "padding")
            np.testing.assert_array_equal(run["layer_optimizer_bytes"][:], held)  # momentum
            gradients = run["layer_gradient_bytes"][:] - held
            activations = run["layer_activation_bytes"][:]
            # Of conv1 the pool's input, of conv2 its input and its pool's: of floats.
            self.assertGreaterEqual(gradients[0], 64 * 6 * 28 * 28 * 4)
            self.assertGreaterEqual(gradients[1], 64 * (6 * 14 * 14 + 16 * 10 * 10) * 4)
            self.assertLessEqual(gradients.sum(), 3 * activations.sum())
            peak, estimate = run["peak_memory"][:], run["estimated_memory"][:]
            self.assertTrue((peak > estimate).all())  # a process is more than its training
            self.assertTrue((estimate > 3 * held.sum() + activations.sum() * 0.8).all())
            self.assertEqual(run["peak_memory"].attrs["units"], "byte")


class Configurations(ExperimentTest):
    def test_each_is_ready_once_its_images_are_named(self):
        images = self.folder / "images"
        write_images(images, classes=10, count=26)
        shipped = sorted(CONFIGS.glob("*.cfg"))
        self.assertEqual([path.stem for path in shipped],
                         ["alexnet-128", "alexnet-64", "googlenet", "lenet5-digits", "resnet50",
                          "vgg11-12", "vgg16"])
        for path in shipped:
            for chosen in (["--data.root", images, "--data.classes", ""],
                           ["--data.source", "synthetic", "--train.iterations", "3"]):
                with self.subTest(path.name, chosen=chosen[1]):
                    result = subprocess.run(
                        [*MPIRUN, "-n", "2", PROGRAM, "train", "--config", path, "--dry-run",
                         *map(str, chosen)], timeout=120, stdin=subprocess.DEVNULL,
                        capture_output=True, text=True)
                    self.assertEqual(result.returncode, 0, result.stderr)
                    self.assertIn("nothing was trained", result.stderr)
                    architecture = re.search(r"architecture = (\w+)", path.read_text()).group(1)
                    self.assertIn(f"{architecture}, ", result.stderr)


if __name__ == "__main__":
    unittest.main()
