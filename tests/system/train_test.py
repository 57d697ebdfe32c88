"""The train command as a user runs it: real images, wrong input, many ranks, a killed rank.

Runs the program named by the environment variable LAYERLEDGER under the command named by MPIRUN.
"""

import os
import pathlib
import random
import signal
import socket
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
BAD_DATA, MISSING, UNAVAILABLE, INTERNAL = 65, 66, 69, 70
CANNOT_CREATE, CONFIGURATION = 73, 78
COMPUTE = 4  # a cause of lateness


def write_images(root, classes=3, train=16, val=5):
    """JPEG files whose brightness tells the class."""
    generator = random.Random(3)
    for part, count in (("train", train), ("val", val)):
        for label in range(classes):
            folder = root / part / f"class{label}"
            folder.mkdir(parents=True)
            for i in range(count):
                base = 40 + 80 * label
                pixels = bytes(base + generator.randrange(30) for _ in range(32 * 32))
                Image.frombytes("L", (32, 32), pixels).save(folder / f"{i}.jpg", quality=90)


def wait_for_the_end(processes):
    """Until none of them holds a file any more: mpirun may end before the ranks that it kills."""
    def lives(process):
        try:
            return pathlib.Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
        except OSError:
            return False
    deadline = time.monotonic() + 10
    while any(map(lives, processes)):
        assert time.monotonic() < deadline, f"still running: {processes}"
        time.sleep(0.01)


class TrainTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.images = self.folder / "images"
        self.run_file = self.folder / "runs" / "run.h5"

    def command(self, ranks, settings):
        chosen = {"network.architecture": "lenet5", "train.batch_size": 4, "train.iterations": 3,
                  "output.directory": self.run_file.parent, "output.file": self.run_file.name}
        chosen.update(settings)
        words = [PROGRAM, "train"]
        for key, value in chosen.items():
            if value is not None:
                words += [f"--{key}", str(value)]
        return [*MPIRUN, "-n", str(ranks), *words]

    def train(self, ranks=2, **settings):
        settings = {key.replace("__", "."): value for key, value in settings.items()}
        return subprocess.run(self.command(ranks, settings), timeout=120, stdin=subprocess.DEVNULL,
                              capture_output=True, text=True)

    def on_images(self, ranks=2, **settings):
        return self.train(ranks, data__source="folder", data__root=self.images, **settings)

    def assert_trained(self, result):
        self.assertEqual(result.returncode, 0, result.stderr)
        return h5py.File(self.run_file, "r")

    def assert_refused(self, result, code, *words):
        """The exit code, one complaint from one rank that holds all words, and no run file."""
        self.assertEqual(result.returncode, code, result.stderr)
        complaints = [line for line in result.stderr.splitlines()
                      if line.startswith("layerledger") and "error: " in line]
        self.assertEqual(len(complaints), 1, result.stderr)
        for word in words:
            self.assertIn(word, complaints[0])
        self.assertFalse(self.run_file.exists(), "a half-made run file is left")


    def assert_nothing_but_the_log(self):
        self.assertEqual([path.name for path in self.run_file.parent.iterdir()], ["run.log"])


class Training(TrainTest):
    def test_a_divergence_is_said_and_shown(self):
        result = self.train(train__learning_rate="1e30", train__iterations=5)
        with self.assert_trained(result) as run:
            self.assertFalse(np.isfinite(run["loss"][-1]))
        self.assertEqual(result.stderr.count("training diverged"), 1, result.stderr)
        self.assertIn("smaller train.learning_rate", result.stderr)
        self.assertIn("(training diverged)", result.stdout)
        log = self.run_file.with_suffix(".log").read_text()
        self.assertIn("training diverged: the loss of iteration", log)

    def test_learns_images_and_says_so(self):
        write_images(self.images)
        result = self.on_images(train__epochs=20, train__iterations=0, train__topk=2,
                                train__learning_rate=0.02)
        with self.assert_trained(result) as run:
            self.assertEqual(run.attrs["status"], "complete")
            self.assertEqual(run.attrs["committed_iterations"], 120)
            self.assertEqual(run["epoch"][-1], 19)
            clock = {name: run["wall_clock"][name][()] for name in ("windows", "elapsed", "paused")}
            self.assertAlmostEqual(clock["windows"] / (clock["elapsed"] - clock["paused"]), 1,
                                   delta=0.01)
            self.assertLess(run["loss"][-5:].mean(), 0.5 * run["loss"][:5].mean())
            self.assertEqual(run["validation/images"][()], 15)
            self.assertGreater(run["validation/top1"][()], 0.9)
        self.assertIn("conv1", result.stdout)
        self.assertIn("iteration 120/120", result.stdout)

    def test_the_same_seed_gives_the_same_bits(self):
        losses = []
        for _ in range(2):
            with self.assert_trained(self.train(train__iterations=20,
                                                output__overwrite="true")) as run:
                losses.append(run["loss"][:])
        np.testing.assert_array_equal(*losses)

    def test_levels_record_what_they_promise(self):
        seen = {}
        for level in ("off", "iteration", "layer", "op"):
            with self.assert_trained(self.train(profile__level=level,
                                                output__overwrite="true")) as run:
                seen[level] = (np.isfinite(run["iteration_time"][:]).all(),
                               np.isfinite(run["activity_time"][:]).all(),
                               np.isfinite(run["layer_time"][:]).all(), "op_time" in run)
        self.assertEqual(seen, {"off": (True, False, False, False),
                                "iteration": (True, True, False, False),
                                "layer": (True, True, True, False),
                                "op": (True, True, True, True)})

    def test_overhead_is_stored_and_shown(self):
        result = self.train(profile__overhead_check="true", train__iterations=60)
        with self.assert_trained(result) as run:
            low, high = run["overhead/low"][()], run["overhead/high"][()]
            self.assertLessEqual(low, run["overhead/percent"][()])
            self.assertLessEqual(run["overhead/percent"][()], high)
            self.assertGreaterEqual(run["overhead/pairs"][()], 10)
            self.assertTrue((run["profiled"][:] == 0).any())
        self.assertIn("cost of profiling", result.stdout)

    def test_sixty_four_ranks_write_one_whole_file(self):
        self.assertEqual(self.train(64, train__iterations=20, train__batch_size=2).returncode, 0)
        checked = subprocess.run([PROGRAM, "check", self.run_file], capture_output=True, text=True,
                                 timeout=60)
        self.assertEqual(checked.returncode, 0, checked.stdout)
        self.assertIn("20 iterations of 64 ranks", checked.stdout)

    def test_unreadable_images_are_skipped_and_counted_on_request(self):
        write_images(self.images)
        whole = (self.images / "train/class0/0.jpg").read_bytes()
        (self.images / "train/class0/0.jpg").write_bytes(whole[: len(whole) // 2])
        (self.images / "train/class1/1.jpg").write_bytes(b"no picture at all")
        result = self.on_images(data__on_error="skip", train__epochs=1, train__iterations=0,
                                train__topk=2, train__validate="false")
        with self.assert_trained(result) as run:
            self.assertEqual(run.attrs["skipped_images"], 2)

    def test_a_dry_run_leaves_nothing(self):
        result = subprocess.run([*self.command(2, {}), "--dry-run"], timeout=60,
                                stdin=subprocess.DEVNULL, capture_output=True, text=True)
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertFalse(self.run_file.parent.exists())


class SlowedOnPurpose(TrainTest):
    """profile.inject, so strong that it shows on a busy machine."""

    def names(self, run):
        return [run[name].asstr()[:].tolist() for name in ("layer", "phase")]

    def test_rank_layer_phase_and_cause_are_in_the_file_and_the_summary(self):
        result = self.train(train__iterations=50, train__batch_size=16, profile__warmup=10,
                            profile__inject="1:conv2:10000:backward")
        with self.assert_trained(result) as run:
            layers, phases = self.names(run)
            slowed = (1, layers.index("conv2"), phases.index("backward"), COMPUTE)
            late = run["late"]
            rows = [tuple(row) for row in np.transpose(
                [late[f"late_{name}"][:] for name in ("rank", "layer", "phase", "cause")])]
            self.assertEqual(len(rows), 40)
            self.assertGreater(rows.count(slowed), 30, rows)
            times = run["layer_time"][10:, :, slowed[1], slowed[2]]
            delay_us = np.median(times[:, 1]) - np.median(times[:, 0])
            late_us = np.median(late["late_by"][:][late["late_rank"][:] == 1])
            if refused := late["late_by"].attrs["refused"]:  # on a busy machine clocks are read badly
                self.assertIn("the clocks are known to", refused)
                self.assertTrue(np.isnan(late_us))
            else:
                self.assertTrue(0.5 < late_us / delay_us < 2, f"{late_us} of {delay_us}")
            self.assertTrue((run["anatomy/anatomy_zero_skew"][:] > 0).all())
            found = run["stragglers"]
            # A busy machine makes whole ranks slow too.
            row = np.flatnonzero(found["straggler_layer"][:] >= 0)[0]
            self.assertEqual(tuple(found[f"straggler_{name}"][row]
                                   for name in ("rank", "layer", "phase", "cause")), slowed)
            self.assertEqual(found["straggler_all_windows"][row], 2)
            self.assertGreater(found["straggler_percent"][row], 3000)
        self.assertIn(f"conv2 backward of rank 1 on {socket.gethostname()}: ", result.stdout)
        self.assertRegex(result.stdout, r"others \([12] of 2 windows\)")  # too few to say how often
        self.assertRegex(result.stdout, r"slowed on purpose +1:conv2:10000:backward")

    def test_what_cannot_be_slowed_is_refused_by_one_rank(self):
        for asked, words in (("1:conv2", "RANK:LAYER:PERCENT"), ("2:conv2:5", "from 0 to 1"),
                             ("1:conv3:5", "no layer 'conv3'"), ("1:conv2:-5", "above 0"),
                             ("1:conv2:5:sideways", "no phase 'sideways'")):
            self.assert_refused(self.train(profile__inject=asked), CONFIGURATION,
                                "profile.inject", asked, words)


class WrongInput(TrainTest):
    def test_unknown_key(self):
        self.assert_refused(self.train(train__batchsize=3), CONFIGURATION, "train.batch_size")

    def test_unknown_network(self):
        self.assert_refused(self.train(network__architecture="alexnett"), CONFIGURATION, "alexnet")

    def test_image_too_small_for_the_network(self):
        self.assert_refused(self.train(network__architecture="alexnet", network__image_size=32),
                            CONFIGURATION, "image size 32", "alexnet")

    def test_no_length_for_synthetic_data(self):
        self.assert_refused(self.train(train__iterations=0), CONFIGURATION, "train.iterations")

    def test_missing_folder(self):
        self.assert_refused(self.on_images(), MISSING, str(self.images))

    def test_empty_folder(self):
        (self.images / "train").mkdir(parents=True)
        self.assert_refused(self.on_images(), BAD_DATA, "train")

    def test_folder_with_one_class(self):
        write_images(self.images, classes=1)
        self.assert_refused(self.on_images(), BAD_DATA, "class")

    def test_more_ranks_than_images(self):
        write_images(self.images, classes=2, train=1)
        self.assert_refused(self.on_images(ranks=3, train__batch_size=1), CONFIGURATION, "2", "3")

    def test_batch_too_large_for_memory(self):
        result = self.train(network__architecture="vgg16", train__batch_size=100_000)
        self.assert_refused(result, CONFIGURATION, "train.batch_size", "largest batch")

    def test_output_exists(self):
        self.run_file.parent.mkdir()
        self.run_file.write_bytes(b"precious")
        result = self.train()
        self.assertEqual(result.returncode, CANNOT_CREATE)
        self.assertIn("--output.overwrite", result.stderr)
        self.assertEqual(self.run_file.read_bytes(), b"precious")

    def test_a_run_file_that_its_log_would_hit(self):
        for name in ("run.log", "run", "run.hdf5"):
            self.run_file = self.run_file.with_name(name)
            self.assert_refused(self.train(), CONFIGURATION, "output.file", name, ".h5")

    def test_output_folder_is_a_file(self):
        blocked = self.folder / "blocked"
        blocked.write_text("")
        self.assert_refused(self.train(output__directory=blocked), CANNOT_CREATE, "blocked")

    def test_backends_and_precisions_that_are_not_here(self):
        self.assert_refused(self.train(device__backend="cuda"), UNAVAILABLE, "cuda")
        self.assert_refused(self.train(sync__collective="nccl"), UNAVAILABLE, "nccl")
        self.assert_refused(self.train(train__precision="tf32"), UNAVAILABLE, "tf32")
        self.assert_refused(self.train(profile__level="kernel"), UNAVAILABLE, "kernel")
        self.assert_refused(self.train(train__graph="on"), UNAVAILABLE, "train.graph=off")
        self.assert_refused(self.train(train__graph="on", profile__level="kernel"), CONFIGURATION,
                            "train.graph=on and profile.level=kernel")

    def test_an_image_cut_short_ends_the_job_and_names_the_file(self):
        write_images(self.images)
        victim = self.images / "train/class0/0.jpg"
        victim.write_bytes(victim.read_bytes()[:-200])
        result = self.on_images(train__epochs=3, train__iterations=0, train__topk=2)
        self.assertEqual(result.returncode, BAD_DATA, result.stderr)
        complaints = [line for line in result.stderr.splitlines() if "error: " in line]
        self.assertEqual(len(complaints), 1, result.stderr)
        self.assertIn("0.jpg", complaints[0])
        self.assertRegex(complaints[0], r"rank \d on \S+ in iteration \d+, waiting for input")
        self.assert_nothing_but_the_log()
        victim.unlink()
        self.assert_trained(self.on_images(train__epochs=1, train__iterations=0,
                                           train__topk=2)).close()

    def test_many_unreadable_images_are_complained_about_once(self):
        write_images(self.images)
        for image in self.images.glob("train/*/*.jpg"):
            image.write_bytes(b"no picture at all")
        result = self.on_images(ranks=4, train__epochs=3, train__iterations=0,
                                train__checkpoint_every=1)
        self.assertEqual(result.returncode, BAD_DATA, result.stderr)
        complaints = [line for line in result.stderr.splitlines() if "error: " in line]
        self.assertEqual(len(complaints), 1, result.stderr)
        self.assert_nothing_but_the_log()

    def test_an_image_cut_short_after_commits_leaves_a_failed_file(self):
        write_images(self.images)
        victim = self.images / "train/class0/0.jpg"
        victim.write_bytes(victim.read_bytes()[:-200])
        result = self.on_images(ranks=1, train__epochs=3, train__iterations=0,
                                train__batch_size=1, train__checkpoint_every=1)
        self.assertEqual(result.returncode, BAD_DATA, result.stderr)
        with h5py.File(self.run_file, "r") as run:
            self.assertEqual(run.attrs["status"], "failed")
            self.assertGreater(run.attrs["committed_iterations"], 0)

    def test_an_unreadable_validation_image_does_not_take_back_the_training(self):
        write_images(self.images)
        victim = self.images / "val/class2/4.jpg"
        victim.write_bytes(victim.read_bytes()[:-200])
        for validate_every in (0, 1):
            result = self.on_images(train__epochs=1, train__iterations=0,
                                    train__validate_every=validate_every,
                                    train__checkpoint_every=100, output__overwrite="true")
            self.assertEqual(result.returncode, BAD_DATA, result.stderr)
            complaints = [line for line in result.stderr.splitlines() if "error: " in line]
            self.assertEqual(len(complaints), 1, result.stderr)
            self.assertIn("4.jpg", complaints[0])
            self.assertIn("the training is complete", result.stderr)
            with h5py.File(self.run_file, "r") as run:
                self.assertEqual(run.attrs["status"], "complete")
                self.assertEqual(run.attrs["committed_iterations"], 6)
                self.assertNotIn("validation/top1", run)
            self.assertEqual(len(list(self.run_file.with_suffix(".checkpoints").glob("*6.h5"))), 1)


class Kill(TrainTest):
    def ranks_of(self, mpirun):
        children = [child for list in pathlib.Path(f"/proc/{mpirun}/task").glob("*/children")
                    for child in list.read_text().split()]
        return [int(child) for child in children
                if "layerledger" in pathlib.Path(f"/proc/{child}/comm").read_text()]

    def committed(self):
        if not self.run_file.exists():
            return 0
        with h5py.File(self.run_file, "r") as run:
            return run.attrs["committed_iterations"]

    def test_a_killed_rank_ends_the_job_and_leaves_every_committed_iteration(self):
        for victim in (0, 1):
            self.run_file.unlink(missing_ok=True)
            job = subprocess.Popen(
                self.command(2, {"train.iterations": 10**6, "output.commit_seconds": 0.05}),
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            self.addCleanup(job.kill)
            deadline = time.monotonic() + 30
            while time.monotonic() < deadline and self.try_committed() < 50:
                time.sleep(0.05)
            ranks = sorted(self.ranks_of(job.pid))
            os.kill(ranks[victim], signal.SIGKILL)
            self.assertNotEqual(job.wait(timeout=10), 0)
            wait_for_the_end(ranks)
            with h5py.File(self.run_file, "r") as run:
                n = int(run.attrs["committed_iterations"])
                self.assertGreaterEqual(n, 50)
                np.testing.assert_array_equal(run["iteration"][:n], np.arange(n))
                named = (run["layer_time"][:n].sum(axis=(2, 3)) + run["unaccounted"][:n]
                         + run["activity_time"][:n].sum(axis=2))
                np.testing.assert_allclose(named, run["iteration_time"][:n], rtol=1e-4)

    def test_a_stopped_rank_ends_the_job_at_the_deadline_with_one_complaint(self):
        for overlap in ("on", "off"):
            for victim in (0, 2):
                with self.subTest(overlap=overlap, victim=victim):
                    self.stop_a_rank(overlap, victim)

    def stop_a_rank(self, overlap, victim):
        self.run_file.unlink(missing_ok=True)
        job = subprocess.Popen(
            self.command(3, {"train.iterations": 10**6, "output.commit_seconds": 0.05,
                             "sync.overlap": overlap, "sync.timeout_seconds": 3}),
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        self.addCleanup(job.kill)
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline and self.try_committed() < 20:
            time.sleep(0.05)
        stopped = self.ranks_of(job.pid)
        self.assertEqual(len(stopped), 3)
        environment = {pid: pathlib.Path(f"/proc/{pid}/environ").read_text() for pid in stopped}
        pid = next(pid for pid in stopped
                   if f"\0OMPI_COMM_WORLD_RANK={victim}\0" in environment[pid])
        os.kill(pid, signal.SIGSTOP)
        _, errors = job.communicate(timeout=40)
        self.assertEqual(job.returncode, INTERNAL, errors)
        complaints = [line for line in errors.splitlines()
                      if line.startswith("layerledger") and "error: " in line]
        self.assertEqual(len(complaints), 1, errors)
        self.assertRegex(complaints[0], "waited|did not end")
        self.assertRegex(complaints[0], r"rank \d on \S+: in iteration \d+, ")
        heard = complaints[0].partition("nothing was heard of ")[2]
        self.assertIn(f"rank {victim} on {socket.gethostname()}", heard)
        wait_for_the_end(stopped)
        with h5py.File(self.run_file, "r") as run:
            self.assertGreaterEqual(run.attrs["committed_iterations"], 20)

    def try_committed(self):
        try:
            return self.committed()
        except OSError:
            return 0  # the writer holds the file at this moment


if __name__ == "__main__":
    unittest.main()
