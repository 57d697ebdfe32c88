"""Experiments of several trainings: repetitions, the twin without profiling, shipped configurations.

Runs the program named by the environment variable LAYERLEDGER, behind the command named by MPIRUN.
"""

import pathlib
import re
import subprocess
import sys
import unittest

try:
    import h5py
    import numpy as np

    from experiment_support import (CANNOT_CREATE, CONFIGURATION, MPIRUN, PROGRAM, ExperimentTest,
                                    rows_of, write_images)
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(77)

CONFIGS = pathlib.Path(__file__).parents[2] / "configs"


def is_complete(run_file):
    try:
        with h5py.File(run_file) as run:
            return run.attrs["status"] == "complete"
    except OSError:  # not there yet, or being written
        return False


class Tables(ExperimentTest):
    NAMES = [f"lenet.{table}.csv" for table in ("experiment", "iterations", "layers")]

    def test_runs_that_share_a_folder_have_tables_of_their_own(self):
        for name in ("lenet", "other"):
            result = self.train(experiment__name=name, output__csv="true")
            self.assertEqual(result.returncode, 0, result.stderr)
        for name in ("lenet", "other"):
            with h5py.File(self.runs / f"{name}.h5") as run:
                row, = rows_of(self.runs / f"{name}.experiment.csv")
                self.assertEqual(row["run_id"], run.attrs["run_id"])
                self.assertEqual({row["run"] for row in rows_of(self.runs / f"{name}.layers.csv")},
                                 {name})

    def test_those_of_another_run_are_kept(self):
        self.runs.mkdir()
        for name in self.NAMES:
            for settings in ({}, {"train__resume": "auto"}):
                with self.subTest(name, **settings):
                    (self.runs / name).write_text("precious")
                    result = self.train(output__csv="true", **settings)
                    self.assertEqual(result.returncode, CANNOT_CREATE, result.stderr)
                    self.assertIn(name, result.stderr)
                    self.assertEqual([path.name for path in self.runs.iterdir()], [name])
            (self.runs / name).unlink()

    def test_those_of_the_same_run_are_replaced_when_it_goes_on(self):
        settings = {"output__csv": "true", "train__checkpoint_every": 4, "train__resume": "auto"}
        for iterations in (8, 12):
            result = self.train(train__iterations=iterations, **settings)
            self.assertEqual(result.returncode, 0, result.stderr)
            self.assertEqual(len(rows_of(self.runs / "lenet.iterations.csv")), 2 * iterations)

    def test_a_run_that_goes_on_does_not_replace_those_of_another(self):
        settings = {"train__checkpoint_every": 4, "train__resume": "auto"}
        self.assertEqual(self.train(train__iterations=8, **settings).returncode, 0)
        other = self.folder / "other"
        result = self.train(output__csv="true", output__directory=other)
        self.assertEqual(result.returncode, 0, result.stderr)
        before = {}
        for name in self.NAMES:
            before[name] = (other / name).read_bytes()
            (self.runs / name).write_bytes(before[name])
        result = self.train(output__csv="true", **settings)
        self.assertEqual(result.returncode, CANNOT_CREATE, result.stderr)
        self.assertIn("is of another run", result.stderr)
        self.assertEqual({name: (self.runs / name).read_bytes() for name in self.NAMES}, before)
        result = self.train(output__csv="true", output__overwrite="true", **settings)
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertNotEqual((self.runs / self.NAMES[0]).read_bytes(), before[self.NAMES[0]])


class Messages(ExperimentTest):
    def test_with_a_quiet_launcher_an_error_is_one_line(self):
        images = self.folder / "images"
        write_images(images, 2, count=8)
        bad = images / "train/class1/5.jpg"
        bad.write_bytes(bad.read_bytes()[:-60])
        met_by_one = ["--data.source", "folder", "--data.root", images, "--train.topk", "2",
                      "--train.batch_size", "8", "--network.architecture", "lenet5",
                      "--output.directory", self.runs]
        for words, code, said in ((["--nosuch", "1"], 64, "--nosuch"),
                                  (met_by_one, 65, "class1/5.jpg")):
            result = subprocess.run(
                [*MPIRUN, "--quiet", "-n", "2", PROGRAM, "train", *map(str, words)], timeout=60,
                stdin=subprocess.DEVNULL, capture_output=True, text=True)
            self.assertEqual(result.returncode, code, result.stderr)
            lines = [line for line in result.stderr.splitlines() if ": info: " not in line]
            self.assertEqual(len(lines), 1, result.stderr)
            self.assertRegex(lines[0], "^layerledger( \\[r1 .*\\])?: error: ")
            self.assertIn(said, lines[0])


class Names(ExperimentTest):
    def test_a_name_with_a_folder_is_refused_and_the_folder_setting_named(self):
        result = self.train(output__file="sub/run.h5")
        self.assertEqual(result.returncode, CONFIGURATION, result.stderr)
        self.assertIn(f"output.directory = {self.runs}/sub and output.file = run.h5", result.stderr)
        self.assertFalse(self.runs.exists())


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
            self.assertLess(facts["median_low"], facts["median_percent"])
            self.assertGreater(facts["median_high"], facts["median_percent"])
            self.assertNotIn("twin", twin)
        row, = rows_of(self.runs / "lenet.experiment.csv")
        names = [name for name in row if name.startswith("twin.")]
        self.assertEqual(names[:4], ["twin.median_percent", "twin.median_low", "twin.median_high",
                                     "twin.percent"])
        for name in names:
            fact = name.removeprefix("twin.").removesuffix("_us").removesuffix("_s")
            self.assertAlmostEqual(float(row[name]), facts[fact], 6)
        self.assertEqual(names[4:], ["twin.profiled_us", "twin.unprofiled_us",
                                     "twin.profiled_training_s", "twin.unprofiled_training_s"])
        said = re.search(r"profiling against none: (\S+) % of the median iteration "
                         r"\(95 % interval (\S+) to ([-\d.]+)(?:; [^)]*)?\); "
                         r"training (\S+) %", result.stdout)
        training = (facts["profiled_training"] / facts["unprofiled_training"] - 1) * 100
        for number, fact in zip(said.groups(), [facts["median_percent"], facts["median_low"],
                                                facts["median_high"], training], strict=True):
            self.assertAlmostEqual(float(number), fact, delta=0.006)
        self.assertIn("within the profiled run: ", result.stdout)
        for command in ("check", "summary"):
            seen = subprocess.run([PROGRAM, command, run_file], capture_output=True, text=True,
                                  timeout=60)
            self.assertEqual(seen.returncode, 0, seen.stdout)
        self.assertIn("twin, unprofiled", seen.stdout)

    def test_a_reader_of_the_profiled_run_does_not_lose_the_comparison(self):
        """It holds the file from when it is complete until the job has ended."""
        job = subprocess.Popen(self.command(profile__twin="true", train__iterations=1500), text=True,
                               stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE)
        self.addCleanup(lambda: job.poll() is None and (job.kill(), job.wait()))
        run_file = self.runs / "lenet.h5"
        self.wait_for(lambda: is_complete(run_file), job)
        with h5py.File(run_file):
            self.assertIsNone(job.poll(), "the job ended before its run could be held")
            output, complaints = job.communicate(timeout=60)
        self.assertEqual(job.returncode, 0, complaints)
        self.assertIn("profiling against none: ", output)
        with h5py.File(run_file) as run:
            self.assertGreater(run["twin/unprofiled"][()], 0)

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


    def test_validation_and_checkpoints_are_expected_too(self):
        images = self.folder / "images"
        write_images(images, 2, count=8)

        def estimate(name, **settings):
            result = self.train(data__source="folder", data__root=images, train__topk=2,
                                experiment__name=name, **settings)
            self.assertEqual(result.returncode, 0, result.stderr)
            with h5py.File(self.runs / f"{name}.h5") as run:
                return run["estimated_memory"][0], run["layer_parameters"][:].sum()

        plain, parameters = estimate("plain", train__validate="false")
        validating, _ = estimate("validating")
        saving, _ = estimate("saving", train__validate="false", train__checkpoint_every=6)
        prefetched = 3  # batches of 4 images of floats, and the one in use
        self.assertEqual(validating - plain, prefetched * 4 * 28 * 28 * 4)
        self.assertEqual(saving - plain, 3 * parameters * 4)  # with the velocity, in two layouts


class Configurations(ExperimentTest):
    def test_each_is_ready_once_its_images_are_named(self):
        images = self.folder / "images"
        write_images(images, classes=10, count=26)
        shipped = sorted(CONFIGS.glob("*.cfg"))
        self.assertEqual([path.stem for path in shipped],
                         ["alexnet-128", "alexnet-64", "googlenet", "lenet5-digits", "resnet50",
                          "vgg11-12", "vgg16"])
        for path in shipped:
            # Those for several nodes want more memory for two ranks than one machine may have.
            ranks = "1" if "mpirun -n 8" in path.read_text() else "2"
            for chosen in (["--data.root", images, "--data.classes", ""],
                           ["--data.source", "synthetic", "--train.iterations", "3"]):
                with self.subTest(path.name, chosen=chosen[1]):
                    result = subprocess.run(
                        [*MPIRUN, "-n", ranks, PROGRAM, "train", "--config", path, "--dry-run",
                         *map(str, chosen)], timeout=120, stdin=subprocess.DEVNULL,
                        capture_output=True, text=True)
                    self.assertEqual(result.returncode, 0, result.stderr)
                    self.assertIn("nothing was trained", result.stderr)
                    architecture = re.search(r"architecture = (\w+)", path.read_text()).group(1)
                    self.assertIn(f"{architecture}, ", result.stderr)


if __name__ == "__main__":
    unittest.main()
