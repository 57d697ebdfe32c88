"""The export command: what is in the tables and the trace equals what is in the run file.

Runs the program named by the environment variable LAYERLEDGER, behind the command named by MPIRUN.
"""

import csv
import gzip
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

try:
    import h5py
    import numpy as np
    import pandas
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(77)

PROGRAM = os.environ["LAYERLEDGER"]
MPIRUN = os.environ["MPIRUN"].split()
USAGE, BAD_DATA, MISSING, CANNOT_CREATE, DATA_LOST, CONFIGURATION = 64, 65, 66, 73, 74, 78
RANKS, ITERATIONS, WARMUP = 2, 23, 5


def train(folder, name, **settings):
    chosen = {"network.architecture": "lenet5", "train.batch_size": 8,
              "train.iterations": ITERATIONS, "profile.warmup": WARMUP, "output.directory": folder,
              "experiment.name": name, "output.progress": "none", "sync.bucket_mb": 0.1}
    chosen.update({key.replace("__", "."): value for key, value in settings.items()})
    words = [word for key, value in chosen.items() for word in (f"--{key}", str(value))]
    result = subprocess.run([*MPIRUN, "-n", str(RANKS), PROGRAM, "train", *words], timeout=120,
                            stdin=subprocess.DEVNULL, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return pathlib.Path(folder) / f"{name}.h5"


class ExportTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.runs = pathlib.Path(folder.name)
        cls.run_file = train(cls.runs, "a, \"quoted\" run")
        cls.checked = train(cls.runs, "checked", profile__overhead_check="true",
                            profile__level="op")

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def export(self, *words):
        return subprocess.run([PROGRAM, "export", *map(str, words)], timeout=60,
                              stdin=subprocess.DEVNULL, capture_output=True, text=True)

    def assert_refused(self, result, code, *words):
        self.assertEqual(result.returncode, code, result.stderr)
        self.assertEqual(result.stderr.count("\n"), 1, result.stderr)
        for word in words:
            self.assertIn(word, result.stderr)
        self.assertEqual(result.stdout, "")

    def tables(self, *runs):
        result = self.export(*runs, "--csv", self.folder / "csv", "--overwrite")
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        return [pandas.read_csv(self.folder / "csv" / name)
                for name in ("layers.csv", "iterations.csv", "experiment.csv")]


class Tables(ExportTest):
    def test_layers_equal_the_run_file_to_the_last_bit(self):
        layers, _, _ = self.tables(self.run_file)
        with h5py.File(self.run_file) as run:
            time, names = run["layer_time"][:], list(run["layer"].asstr()[:])
        self.assertEqual(len(layers), ITERATIONS * RANKS * len(names))
        index = (layers.iteration, layers["rank"], layers.layer.map(names.index))
        for phase, column in enumerate(("forward_ms", "backward_ms", "update_ms")):
            read = (layers[column] * 1000).to_numpy(np.float32)
            np.testing.assert_array_equal(read, time[(*index, phase)])
        self.assertEqual(set(layers.iteration[layers.warmup == 1]), set(range(WARMUP)))
        self.assertEqual(set(layers.run), {'a, "quoted" run'})

    def test_iterations_equal_the_run_file_and_add_up(self):
        _, iterations, _ = self.tables(self.run_file)
        self.assertEqual(len(iterations), ITERATIONS * RANKS)
        at = (iterations.iteration, iterations["rank"])
        with h5py.File(self.run_file) as run:
            for column, variable in (("time_ms", "iteration_time"), ("unaccounted_ms", "unaccounted")):
                np.testing.assert_array_equal((iterations[column] * 1000).to_numpy(np.float32),
                                              run[variable][:][at])
            np.testing.assert_allclose(iterations.layers_ms * 1000,
                                       run["layer_time"][:].sum(axis=(2, 3), dtype=float)[at],
                                       rtol=1e-6)
            activities = [f"{name}_ms" for name in run["activity"].asstr()[:]]
            for name in ("loss", "top1", "topk"):
                np.testing.assert_array_equal(iterations[name].to_numpy(np.float32),
                                              run[name][:][iterations.iteration])
        total = iterations[["layers_ms", "unaccounted_ms", *activities]].sum(axis=1)
        np.testing.assert_allclose(total, iterations.time_ms, rtol=1e-4)

    def test_experiment_has_the_account_at_four_points_and_every_setting(self):
        _, _, experiment = self.tables(self.run_file)
        self.assertEqual(len(experiment), 1)
        row = experiment.iloc[0]
        with h5py.File(self.run_file) as run:
            time = run["iteration_time"][:].astype(float).mean(axis=1)
            missing = run["unaccounted"][:].astype(float).mean(axis=1)
            layers = run["layer_time"][:].astype(float).sum(axis=(2, 3)).mean(axis=1)
            for percent in (25, 50, 75, 100):
                n = -(-ITERATIONS * percent // 100)
                self.assertAlmostEqual(row[f"time_{percent}_s"], time[:n].sum() / 1e6, delta=2e-6)
                self.assertAlmostEqual(row[f"layers_{percent}_s"], layers[:n].sum() / 1e6, delta=2e-6)
                self.assertAlmostEqual(row[f"missing_{percent}_s"], missing[:n].sum() / 1e6,
                                       delta=2e-6)
                self.assertAlmostEqual(row[f"accounted_{percent}_s"] + row[f"missing_{percent}_s"],
                                       row[f"time_{percent}_s"], delta=2e-6)
            self.assertAlmostEqual(row.training_s, time.sum() / 1e6, delta=2e-6)
            for key, value in run["config"].items():
                if key != "text":
                    self.assertIn(f"config.{key}", experiment.columns)
            self.assertEqual(row["config.train.batch_size"], 8)
            self.assertEqual(row["peak_memory_bytes"], run["peak_memory"][:].max())
            self.assertGreater(row["peak_memory_bytes"], 1e6)

    def test_what_is_absent_is_empty(self):
        layers, iterations, experiment = self.tables(self.checked)
        with h5py.File(self.checked) as run:
            profiled = run["profiled"][:] != 0
        self.assertTrue(0 < profiled.sum() < ITERATIONS)
        self.assertEqual(set(layers.iteration), set(np.flatnonzero(profiled)))
        self.assertTrue((iterations.layers_ms.isna() == ~profiled[iterations.iteration]).all())
        self.assertFalse(iterations.time_ms.isna().any())
        row = experiment.iloc[0]
        profiled_s = iterations.time_ms[profiled[iterations.iteration]].sum() / 1e3 / RANKS
        self.assertAlmostEqual(row.profiled_100_s, profiled_s, delta=2e-6)
        self.assertAlmostEqual(row.accounted_100_s + row.missing_100_s, profiled_s, delta=2e-6)
        self.assertTrue(0 <= row.missing_100_percent < 100)

    def test_a_loss_that_is_no_number_is_told_from_what_is_absent(self):
        diverged = train(self.folder, "diverged", train__learning_rate=1e30)
        with h5py.File(diverged) as run:
            is_nan = np.isnan(run["loss"][:])
        self.assertTrue(is_nan[-1])
        _, iterations, experiment = self.tables(diverged)
        np.testing.assert_array_equal(iterations.loss.isna(), is_nan[iterations.iteration])
        self.assertTrue(np.isnan(experiment.last_loss[0]))
        for name, columns in (("iterations.csv", ["loss"]), ("experiment.csv", ["last_loss"])):
            raw = pandas.read_csv(self.folder / "csv" / name, keep_default_na=False)
            for column in columns:
                self.assertEqual(str(raw[column].iloc[-1]), "NaN")

    def test_several_runs_are_told_apart(self):
        layers, iterations, experiment = self.tables(self.run_file, self.checked)
        names = {'a, "quoted" run', "checked"}
        self.assertEqual((set(layers.run), set(iterations.run), set(experiment.run)),
                         (names, names, names))
        overhead = experiment.set_index("run")["overhead.percent"]
        self.assertTrue(np.isnan(overhead['a, "quoted" run']))
        self.assertEqual(list(experiment.file), [str(self.run_file), str(self.checked)])
        # Two of one name go by their files.
        copy = shutil.copy(self.checked, self.folder / "copy.h5")
        _, iterations, _ = self.tables(self.checked, copy)
        self.assertEqual(set(iterations.run), {str(self.checked), str(copy)})

    def test_spreadsheets_find_the_same_columns_in_each_row(self):
        self.tables(self.run_file, self.checked)
        for path in (self.folder / "csv").iterdir():
            text = path.read_text(encoding="utf-8")
            self.assertNotIn("\r", text)
            self.assertEqual(csv.Sniffer().sniff(text.splitlines()[0]).delimiter, ",")
            rows = list(csv.reader(text.splitlines(keepends=True), strict=True))
            self.assertEqual(len(rows), text.count("\n"), "a row is more than one line")
            self.assertFalse({"nan", "inf", "-"} & {cell for row in rows for cell in row})
            widths = {len(row) for row in rows}
            self.assertEqual(len(widths), 1, path)


class Running(ExportTest):
    def test_an_open_run_gives_what_it_has_committed(self):
        job = subprocess.Popen(
            [*MPIRUN, "-n", "2", PROGRAM, "train", "--network.architecture", "lenet5",
             "--train.batch_size", "8", "--train.iterations", "1000000", "--output.commit_seconds",
             "0.05", "--output.directory", str(self.folder), "--output.progress", "none"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(lambda: (job.terminate(), job.wait()))
        run_file = self.folder / "experiment.h5"
        for _ in range(600):
            result = self.export(run_file, "--csv", self.folder / "csv", "--overwrite")
            if result.returncode == 0:
                experiment = pandas.read_csv(self.folder / "csv/experiment.csv")
                if experiment.iterations[0] >= 20:
                    break
            self.assertIn(result.returncode, (0, MISSING), result.stderr)
            self.assertIsNone(job.poll())
        iterations = pandas.read_csv(self.folder / "csv/iterations.csv")
        self.assertEqual(experiment.status[0], "running")
        self.assertEqual(len(iterations), 2 * experiment.iterations[0])
        self.assertFalse(iterations.time_ms.isna().any())


class Trace(ExportTest):
    def trace(self, run_file, *words):
        path = self.folder / "trace.json.gz"
        result = self.export(run_file, "--trace", path, "--overwrite", *words)
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        with gzip.open(path) as file:
            return json.load(file)

    def assert_nests(self, events):
        """Of events in one lane each two are apart, or one lies within the other."""
        stack = []
        for start, end in sorted(((round(e["ts"] * 1000), round((e["ts"] + e["dur"]) * 1000))
                                  for e in events), key=lambda e: (e[0], -e[1])):
            while stack and stack[-1] <= start:
                stack.pop()
            if stack:
                self.assertLessEqual(end, stack[-1])
            stack.append(end)

    def test_a_window_on_rank_0s_clock(self):
        trace = self.trace(self.run_file, "--iterations", "7:9")
        events = [event for event in trace["traceEvents"] if event["ph"] == "X"]
        self.assertEqual(trace["distributedInfo"], {"rank": 0, "world_size": RANKS})
        with h5py.File(self.run_file) as run:
            starts = run["iteration_start"][7:10]
            origin = starts.min()
            windows = {(event["pid"], int(event["name"].split()[1])): event
                       for event in events if event["cat"] == "iteration"}
            self.assertEqual(set(windows), {(r, i) for r in range(RANKS) for i in (7, 8, 9)})
            for (rank, iteration), event in windows.items():
                self.assertAlmostEqual(event["ts"], (starts[iteration - 7, rank] - origin) / 1e3,
                                       delta=1)
                self.assertAlmostEqual(event["dur"], run["iteration_time"][iteration, rank], delta=1)
            layer = next(e for e in events if e["pid"] == 1 and e["name"] == "conv2 backward")
            position = list(run["layer"].asstr()[:]).index("conv2")
            at = (7, 1, position, 1)
            self.assertAlmostEqual(layer["ts"], windows[1, 7]["ts"] + run["layer_start"][at], delta=1)
            self.assertAlmostEqual(layer["dur"], run["layer_time"][at], delta=1)
            self.assertEqual(layer["args"]["flops"], run["layer_flops"][position, 1])
            buckets = run["bucket_bytes"].shape[0]
            self.assertGreater(buckets, 1)
            self.assertEqual(sum(e["name"].startswith("bucket ") for e in events),
                             3 * RANKS * buckets)

    def test_each_lane_nests_and_is_named(self):
        trace = self.trace(self.run_file, "--iterations", f"0:{ITERATIONS - 1}")
        lanes = {}
        for event in trace["traceEvents"]:
            if event["ph"] == "X":
                lanes.setdefault((event["pid"], event["tid"]), []).append(event)
        self.assertEqual(set(lanes), {(rank, lane) for rank in range(RANKS) for lane in range(4)})
        for events in lanes.values():
            self.assert_nests(events)
        names = {(e["pid"], e["tid"]): e["args"]["name"] for e in trace["traceEvents"]
                 if e["name"] == "thread_name"}
        self.assertEqual(names[1, 1], "compute")
        self.assertEqual(names[1, 3], "copies")
        with h5py.File(self.run_file) as run:
            origin = run["iteration_start"][:].min()
            for name in ("h2d", "d2h"):
                found = [event for event in lanes[1, 3] if event["name"].startswith(name)]
                profiled = ~np.isnan(run[f"{name}_start"][:, 1])
                self.assertEqual(len(found), profiled.sum())
                begun = (run["iteration_start"][:, 1] - origin) / 1e3 + run[f"{name}_start"][:, 1]
                np.testing.assert_allclose([event["ts"] for event in found], begun[profiled],
                                           atol=1)
                lasted = run[f"{name}_end"][:, 1] - run[f"{name}_start"][:, 1]
                np.testing.assert_allclose([event["dur"] for event in found], lasted[profiled],
                                           atol=1)
            self.assertGreater(len(found), 0)
        self.assertEqual(set(names), set(lanes))
        losses = [e["args"]["loss"] for e in trace["traceEvents"] if e["ph"] == "C" and e["name"] == "loss"]
        with h5py.File(self.run_file) as run:
            np.testing.assert_allclose(losses, run["loss"][:], rtol=1e-6)

    def test_by_itself_three_measured_iterations(self):
        trace = self.trace(self.run_file)
        names = {e["name"] for e in trace["traceEvents"] if e.get("cat") == "iteration"}
        self.assertEqual(names, {f"iteration {WARMUP + i}" for i in range(3)})

    def test_operations_are_told_without_a_place(self):
        trace = self.trace(self.checked)
        layer = next(e for e in trace["traceEvents"] if e["name"] == "conv1 forward")
        self.assertIn("conv1/conv_us", layer["args"])


class Refusals(ExportTest):
    def test_runs_that_are_not_there_or_no_runs(self):
        out = ("--csv", self.folder / "csv")
        self.assert_refused(self.export("no-such.h5", *out), MISSING, "no-such.h5")
        text = self.folder / "text.h5"
        text.write_text("text")
        self.assert_refused(self.export(text, *out), BAD_DATA, "text.h5", "not HDF5")
        self.assert_refused(self.export(self.run_file, text, *out), BAD_DATA, "text.h5")
        with h5py.File(self.folder / "other.h5", "w") as other:
            other["x"] = 1
        self.assert_refused(self.export(self.folder / "other.h5", *out), BAD_DATA, "no run file")
        self.assertFalse((self.folder / "csv").exists())

    def test_a_run_that_is_given_twice_stands_once_in_the_tables(self):
        link = self.folder / "link.h5"
        link.symlink_to(self.run_file)
        result = self.export(self.run_file, self.run_file, link, "--csv", self.folder / "csv")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertEqual(result.stderr.count("is given twice"), 2, result.stderr)
        alone = self.export(self.run_file, "--csv", self.folder / "alone")
        self.assertEqual(alone.returncode, 0, alone.stderr)
        for name in ("layers.csv", "iterations.csv", "experiment.csv"):
            self.assertEqual((self.folder / "csv" / name).read_bytes(),
                             (self.folder / "alone" / name).read_bytes())

    def test_command_lines_without_sense(self):
        self.assert_refused(self.export(), USAGE, "no file")
        self.assert_refused(self.export(self.run_file), USAGE, "neither --csv nor --trace")
        self.assert_refused(self.export(self.run_file, "--csv", "d", "--trace", "t.gz"), USAGE,
                            "together")
        self.assert_refused(self.export(self.run_file, "--csv", "d", "--all"), USAGE, "--all")

    def test_a_window_outside_the_run(self):
        for window in ("20:30", f"{ITERATIONS}:{ITERATIONS}", "9:8", "x"):
            result = self.export(self.run_file, "--trace", self.folder / "t.json.gz",
                                 "--iterations", window)
            self.assert_refused(result, CONFIGURATION, window)
        self.assertEqual(list(self.folder.iterdir()), [])

    def test_what_is_there_is_kept(self):
        (self.folder / "iterations.csv").write_text("precious")
        self.assert_refused(self.export(self.run_file, "--csv", self.folder), CANNOT_CREATE,
                            "iterations.csv", "--overwrite")
        trace = self.folder / "t.json.gz"
        trace.write_text("precious")
        self.assert_refused(self.export(self.run_file, "--trace", trace), CANNOT_CREATE,
                            "--overwrite")
        self.assertEqual(trace.read_text(), "precious")
        self.assertEqual(len(list(self.folder.iterdir())), 2)

    def test_a_place_where_nothing_can_be_made(self):
        blocked = self.folder / "blocked"
        blocked.write_text("")
        self.assert_refused(self.export(self.run_file, "--csv", blocked / "csv"), CANNOT_CREATE,
                            "blocked")
        self.assert_refused(self.export(self.run_file, "--trace", blocked / "t.json.gz"),
                            CANNOT_CREATE, "blocked")
        self.assert_refused(self.export(self.run_file, "--csv", "/proc/none"), CANNOT_CREATE, "/proc")

    def test_a_full_disk_leaves_nothing(self):
        (self.folder / "layers.csv.part").symlink_to("/dev/full")
        self.assert_refused(self.export(self.run_file, "--csv", self.folder), DATA_LOST,
                            "layers.csv", "No space left")
        (self.folder / "t.json.gz.part").symlink_to("/dev/full")
        self.assert_refused(self.export(self.run_file, "--trace", self.folder / "t.json.gz"),
                            DATA_LOST, "No space left")
        self.assertEqual([path.name for path in self.folder.iterdir()], [])


if __name__ == "__main__":
    unittest.main()
