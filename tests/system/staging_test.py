"""Staging as a user meets it: from a real rsync daemon and a real SSH server on loopback.

Runs the program named by the environment variable LAYERLEDGER under the command named by MPIRUN.
"""

import os
import pathlib
import random
import signal
import subprocess
import sys
import tempfile
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "support"))

import servers  # noqa: E402
from train_test import (BAD_DATA, CANNOT_CREATE, CONFIGURATION, MISSING, PROGRAM,  # noqa: E402
                        UNAVAILABLE, TrainTest, h5py, np)
from noise_set import write_set  # noqa: E402

if servers.missing():
    print(f"skipped: no {', '.join(servers.missing())} here")
    sys.exit(77)

INTERRUPTED = 75
LOSSES = {"train.iterations": 6, "train.batch_size": 4, "data.classes": "cat,dog"}


def ranks_of(mpirun):
    """Process ids of the ranks: mpirun's children that run layerledger."""
    children = [child for tasks in pathlib.Path(f"/proc/{mpirun}/task").glob("*/children")
                for child in tasks.read_text().split()]
    return [int(child) for child in children
            if "layerledger" in pathlib.Path(f"/proc/{child}/comm").read_text()]


def rsyncs_into(root):
    """Processes that still work on a root."""
    found = []
    for process in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue  # has ended
        if words[0].endswith(b"rsync") and any(str(root).encode() in word for word in words):
            found.append(int(process.name))
    return found


class StagingTest(TrainTest):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory(prefix="layerledger-set-")
        cls.addClassCleanup(folder.cleanup)
        cls.set = pathlib.Path(folder.name) / "set"
        write_set(cls.set)

    def setUp(self):
        super().setUp()
        self.root = self.folder / "disk" / "set"

    def daemon(self, **options):
        server = servers.RsyncDaemon(self.folder / "daemon", self.set, **options)
        self.addCleanup(server.stop)
        return server

    def settings(self, remote, **more):
        return {"data.source": "folder", "data.root": self.root, "data.remote": remote,
                "data.remote_timeout_seconds": 20, "train.topk": 2, **LOSSES,
                **{key.replace("__", "."): value for key, value in more.items()}}

    def stage(self, remote, ranks=2, environment=None, **more):
        return subprocess.run(self.command(ranks, self.settings(remote, **more)), timeout=120,
                              stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              env={**os.environ, **(environment or {})})

    def start(self, remote, **more):
        """A job that goes on while the test does."""
        job = subprocess.Popen(self.command(2, self.settings(remote, **more)),
                               stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                               stderr=subprocess.PIPE, text=True)
        self.addCleanup(job.stderr.close)
        self.addCleanup(job.kill)
        return job

    def wait_for(self, condition, seconds=30):
        deadline = time.monotonic() + seconds
        while not condition():
            self.assertLess(time.monotonic(), deadline, "waited too long")
            time.sleep(0.02)

    def wait_for_first_image(self):
        self.wait_for(lambda: any(self.root.glob("train/*/*.jpg")))

    def staged(self):
        return sorted(str(path.relative_to(self.root)) for path in self.root.rglob("*")
                      if path.is_file() and not path.name.startswith("."))

    def expected(self, classes=("cat", "dog")):
        chosen = [path for part in ("train", "val") for name in classes
                  for path in (self.set / part / name).iterdir()]
        return sorted([str(path.relative_to(self.set)) for path in chosen] + ["names.txt"])

    def assert_whole(self):
        self.assertEqual(self.staged(), self.expected())
        for name in self.staged():
            self.assertEqual((self.root / name).read_bytes(), (self.set / name).read_bytes(), name)

    def losses(self, result):
        with self.assert_trained(result) as run:
            return run["loss"][:]

    def facts(self):
        with h5py.File(self.run_file, "r") as run:
            return {name: fact[()] for name, fact in run["staging"].items()}


class From(StagingTest):
    """Each kind of remote."""

    def assert_stages(self, remote, **more):
        result = self.stage(remote, **more)
        self.losses(result)
        self.assert_whole()
        first = self.facts()
        self.assertEqual(first["files"], len(self.expected()))
        self.assertEqual(first["bytes"], sum((self.set / name).stat().st_size
                                             for name in self.expected()))
        self.assertEqual((first["nodes"], first["skipped_nodes"]), (1, 0))
        self.assertGreater(first["seconds"], 0)

        again = self.stage(remote, output__overwrite="true", **more)
        self.losses(again)
        self.assertIn("up to date", again.stderr)
        second = self.facts()
        self.assertEqual((second["files"], second["bytes"], second["skipped_nodes"]), (0, 0, 1))
        self.assertEqual(second["set_files"], first["set_files"])
        return result

    def test_an_rsync_daemon(self):
        result = self.assert_stages(self.daemon().url)
        self.assertIn("\n  staging ", result.stdout)
        checked = subprocess.run([PROGRAM, "check", self.run_file], capture_output=True, text=True,
                                 timeout=60)
        self.assertEqual(checked.returncode, 0, checked.stdout)

    def test_an_ssh_server(self):
        with servers.SshServer(self.folder / "ssh") as server:
            self.assert_stages(f"{server.address}:{self.set}", data__ssh_options=server.options)

    def test_a_folder_into_scratch_of_the_node(self):
        result = self.stage(self.set, data__root="$LL_SCRATCH/set",
                            environment={"LL_SCRATCH": str(self.folder / "disk")})
        self.losses(result)
        self.assert_whole()
        with h5py.File(self.run_file, "r") as run:
            self.assertEqual(run["config/data.root"].asstr()[()], "$LL_SCRATCH/set")
            self.assertEqual(run["config/data.remote"].asstr()[()], str(self.set))


class Once(StagingTest):
    def test_the_ranks_of_a_node_stage_once(self):
        daemon = self.daemon()
        self.losses(self.stage(daemon.url, ranks=4, train__batch_size=2))
        self.assertEqual(daemon.connections(), 2)  # the list of classes, and the transfer

    def test_two_jobs_on_one_root_take_turns(self):
        daemon = self.daemon(kib_per_second=100)
        first = self.start(daemon.url)
        self.wait_for_first_image()
        second = self.stage(daemon.url, output__file="second.h5", output__progress="log",
                            output__progress_seconds=0.5)
        self.assertEqual(second.returncode, 0, second.stderr)
        self.assertIn("waiting for another process that stages", second.stderr)
        self.assertIn("; given up where it shows no sign of life for ", second.stderr)
        self.assertRegex(second.stderr, "staging for .*: 1 node waiting for another process at the ")
        self.assertEqual(daemon.connections(), 2)  # both of the first: the second takes its word
        self.assertIn("up to date", second.stderr)
        self.assertEqual(first.wait(timeout=60), 0)
        self.assert_whole()

    def test_a_transfer_longer_than_the_patience_goes_on(self):
        daemon = self.daemon(kib_per_second=300)
        result = self.stage(daemon.url, data__remote_timeout_seconds=1, output__progress="log",
                            output__progress_seconds=0.5)
        self.losses(result)
        self.assertGreater(self.facts()["seconds"], 2)
        self.assertIn("% of what is listed", result.stderr)
        self.assert_whole()

    def test_a_dry_run_transfers_nothing_and_says_what_it_would(self):
        settings = self.settings(self.daemon().url)
        result = subprocess.run([*self.command(2, settings), "--dry-run"], timeout=60,
                                stdin=subprocess.DEVNULL, capture_output=True, text=True)
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertIn(f"to stage: {len(self.expected())} files", result.stderr)
        self.assertFalse(self.root.exists())
        self.assertFalse(self.run_file.parent.exists())


class CutOff(StagingTest):
    """A half-made set is never taken for a whole one, and the next start goes on with it."""

    def undisturbed(self):
        losses = self.losses(self.train(
            data__source="folder", data__root=self.set, train__topk=2,
            **{key.replace(".", "__"): value for key, value in LOSSES.items()}))
        self.run_file.unlink()
        return losses

    def assert_refused_as_it_is(self):
        result = self.stage("")
        self.assert_refused(result, BAD_DATA, "part of a set", "data.remote")

    def assert_resumes(self, remote, losses):
        self.assert_refused_as_it_is()
        already = len(self.staged())
        result = self.stage(remote)
        np.testing.assert_array_equal(self.losses(result), losses)
        self.assert_whole()
        if already > 2:
            self.assertLess(self.facts()["files"], len(self.expected()))
        self.run_file.unlink()

    def test_killed_at_random(self):
        losses = self.undisturbed()
        generator = random.Random(7)
        slow = self.daemon(kib_per_second=600)
        for _ in range(3):
            job = self.start(slow.url)
            self.wait_for_first_image()
            time.sleep(generator.uniform(0, 1))
            for rank in ranks_of(job.pid):
                os.kill(rank, signal.SIGKILL)
            self.assertNotEqual(job.wait(timeout=20), 0)
            self.wait_for(lambda: not rsyncs_into(self.root))
            self.assertFalse(self.run_file.exists())
            self.assert_resumes(slow.url, losses)
            subprocess.run(["rm", "-r", self.root], check=True)

    def test_interrupted(self):
        slow = self.daemon(kib_per_second=300)
        job = self.start(slow.url)
        self.wait_for_first_image()
        os.kill(min(ranks_of(job.pid)), signal.SIGTERM)
        self.assertEqual(job.wait(timeout=20), INTERRUPTED)
        complaints = [line for line in job.stderr.read().splitlines() if "error: " in line]
        self.assertEqual(len(complaints), 1, complaints)
        self.assertIn("start again", complaints[0])
        self.assertEqual(rsyncs_into(self.root), [])
        self.assert_refused_as_it_is()

    def test_the_launcher_is_interrupted(self):
        slow = self.daemon(kib_per_second=300)
        job = self.start(slow.url)
        self.wait_for_first_image()
        job.send_signal(signal.SIGINT)
        self.assertNotEqual(job.wait(timeout=20), 0)
        self.wait_for(lambda: not rsyncs_into(self.root), seconds=10)
        self.assert_refused_as_it_is()

    def test_the_remote_falls_silent(self):
        slow = self.daemon(kib_per_second=300)
        job = self.start(slow.url, data__remote_timeout_seconds=2)
        self.wait_for_first_image()
        for child in slow.children():
            os.kill(child, signal.SIGSTOP)
            self.addCleanup(os.kill, child, signal.SIGKILL)
        self.assertEqual(job.wait(timeout=60), MISSING)
        self.assertIn("fallen silent", job.stderr.read())
        self.assert_refused_as_it_is()

    def test_the_remote_dies(self):
        slow = self.daemon(kib_per_second=300)
        job = self.start(slow.url)
        self.wait_for_first_image()
        for child in slow.children():
            os.kill(child, signal.SIGKILL)
        self.assertEqual(job.wait(timeout=60), MISSING)
        self.assert_refused_as_it_is()

    def test_the_disk_is_full(self):
        disk = self.folder / "disk"
        disk.mkdir()
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=512k", "none", disk],
                                 capture_output=True, text=True)
        if mounted.returncode != 0:
            self.skipTest(f"no small disk to fill: {mounted.stderr.strip()}")
        self.addCleanup(subprocess.run, ["umount", disk], check=True)
        result = self.stage(self.set)
        self.assert_refused(result, CANNOT_CREATE, "is full", "No space left on device",
                            "data.classes")
        self.assert_refused_as_it_is()


class WrongInput(StagingTest):
    def test_nobody_listens(self):
        port = servers.free_port()
        self.assert_refused(self.stage(f"rsync://127.0.0.1:{port}/set"), MISSING, "127.0.0.1",
                            "Connection refused")
        self.assert_refused(self.stage(f"nobody@127.0.0.1:{self.set}",
                                       data__ssh_options=f"-F /dev/null -p {port}"),
                            MISSING, "Connection refused")
        self.assertEqual(self.staged(), [])

    def test_wrong_path(self):
        url = self.daemon().url
        self.assert_refused(self.stage(f"{url}/deeper"), MISSING, "no such folder", "data.remote")
        self.assert_refused(self.stage(url + "s"), MISSING, "no such module")
        self.assert_refused(self.stage(self.folder / "nowhere"), MISSING, "no such folder",
                            "nowhere")

    def test_a_login_that_is_refused(self):
        with servers.SshServer(self.folder / "ssh") as server:
            remote = f"{server.address}:{self.set}"
            self.assert_refused(
                self.stage(remote, data__ssh_options=server.options_with("stranger", "known")),
                MISSING, "refuses the login", "Permission denied")
            self.assert_refused(
                self.stage(remote, data__ssh_options=server.options_with("user", "unknown")),
                MISSING, "key is not known")
            self.assert_refused(
                self.stage(f"{server.address}:{self.folder}/nowhere",
                           data__ssh_options=server.options), MISSING, "no such folder")

    def test_a_class_that_is_not_there(self):
        self.assert_refused(self.stage(self.daemon().url, data__classes="cat,dogg"), CONFIGURATION,
                            "did you mean 'dog'")

    def test_files_that_may_not_be_read(self):
        closed = self.folder / "closed"
        subprocess.run(["cp", "-r", self.set, closed], check=True)
        (closed / "train/cat/1.jpg").unlink()
        (closed / "train/cat/1.jpg").symlink_to("nowhere")
        self.assert_refused(self.stage(closed), MISSING, "link to nowhere", "1.jpg")

    def test_a_root_that_cannot_be_made(self):
        blocked = self.folder / "blocked"
        blocked.write_text("")
        self.assert_refused(self.stage(self.set, data__root=blocked / "set"), CANNOT_CREATE,
                            "blocked")
        self.assert_refused(self.stage(self.set, data__root="/proc/layerledger"), CANNOT_CREATE,
                            "/proc/layerledger")

    def test_a_root_that_staging_did_not_make(self):
        precious = self.root / "train" / "cat" / "mine.jpg"
        precious.parent.mkdir(parents=True)
        precious.write_text("mine")
        self.assert_refused(self.stage(self.set), CANNOT_CREATE, "did not make it")
        self.assertEqual(precious.read_text(), "mine")

    def test_a_variable_that_is_not_set(self):
        self.assert_refused(self.stage(self.set, data__root="$LL_NOT_SET/set"), CONFIGURATION,
                            "LL_NOT_SET")

    def test_settings_that_make_no_sense_together(self):
        self.assert_refused(self.stage(self.set, data__source="synthetic"), CONFIGURATION,
                            "data.source")
        self.assert_refused(self.stage(self.set, data__root=""), CONFIGURATION, "data.root")
        self.assert_refused(self.stage("ftp://node/set"), CONFIGURATION, "rsync://")

    def test_rsync_is_not_installed(self):
        command = self.command(2, self.settings(self.set))
        command.insert(command.index(PROGRAM), f"PATH={self.folder}")  # mpirun adds to its own
        command.insert(command.index(PROGRAM) - 1, "/usr/bin/env")
        result = subprocess.run(command, timeout=60, stdin=subprocess.DEVNULL, capture_output=True,
                                text=True)
        self.assert_refused(result, UNAVAILABLE, "install rsync")


if __name__ == "__main__":
    unittest.main()
