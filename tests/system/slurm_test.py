"""The scripts in slurm/ as users submit them, on a Slurm cluster of four nodes that the test starts.

Runs the program named by the environment variable LAYERLEDGER.
"""

import os
import pathlib
import shutil
import signal
import sys
import tempfile
import time
import unittest

PROJECT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(PROJECT / "tests" / "support"))

import slurm_cluster

try:
    import h5py
    import numpy as np
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(77)
if slurm_cluster.missing():
    print(f"skipped: needs {', '.join(slurm_cluster.missing())}")
    sys.exit(77)

SCRIPTS = PROJECT / "slurm"
INTERRUPTED = 75
TINY = ("--network.architecture", "lenet5", "--profile.warmup", "2")
# Of the templates' sizes those that the test's nodes have.
TWO_RANKS = ("--ntasks-per-node=2", "--cpus-per-task=1", "--gpus-per-node=2")
cluster = None


def setUpModule():
    global cluster
    folder = tempfile.TemporaryDirectory(prefix="layerledger-slurm-")
    unittest.addModuleCleanup(folder.cleanup)
    cluster = unittest.enterModuleContext(slurm_cluster.SlurmCluster(folder.name))


class SlurmTest(unittest.TestCase):
    def setUp(self):
        self.folder = cluster.folder / self.id().rsplit(".", 1)[-1]
        self.folder.mkdir()
        self.run_file = self.folder / "run.h5"

    def submit(self, script, *options, settings=(), iterations=20, batch=4, folder=None,
               **environment):
        """The job's number; its log is `self.log(number)`."""
        job = cluster.submit(
            *options, f"--output={self.folder}/%j.out", SCRIPTS / script, *TINY,
            "--train.iterations", str(iterations), "--train.batch_size", str(batch),
            "--output.directory", folder or self.folder,
            "--output.file", "run.h5", *settings, LAYERLEDGER=os.environ["LAYERLEDGER"],
            **environment)
        self.addCleanup(cluster.run, "scancel", job)
        return job

    def log(self, job):
        return (self.folder / f"{job}.out").read_text()

    def assert_ends(self, job, state="COMPLETED", code=0, seconds=60):
        self.assertEqual(cluster.wait(job, seconds), (state, code), self.log(job))

    def wait_for(self, condition, job, seconds=60):
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                self.fail(f"{cluster.job(job)}\n{self.log(job)}")
            time.sleep(0.05)

    def committed(self):
        try:
            with h5py.File(self.run_file) as run:
                return int(run.attrs["committed_iterations"])
        except OSError:  # not there yet, or being written
            return 0

    def ranks(self):
        """(node, local rank) of every rank, and the losses, of a whole run."""
        with h5py.File(self.run_file) as run:
            self.assertEqual(run.attrs["status"], "complete")
            nodes = run["hostname"].asstr()[:].tolist()
            return list(zip(nodes, run["local_rank"][:].tolist()))


class Scripts(SlurmTest):
    def test_single_node(self):
        job = self.submit("single_node.sbatch", *TWO_RANKS)
        self.assert_ends(job)
        nodes, local = zip(*self.ranks())
        self.assertEqual(len(set(nodes)), 1)
        self.assertEqual(local, (0, 1))
        self.assertIn(f"job {job}: 2 ranks on {nodes[0]}", self.log(job))
        self.assertIn("Open MPI", self.log(job))
        self.assertIn("iteration 20/20", self.log(job))

    def test_multi_node(self):
        self.assert_ends(self.submit("multi_node.sbatch", "--nodes=2", *TWO_RANKS, INTERFACE="lo"))
        nodes, local = zip(*self.ranks())
        self.assertEqual(local, (0, 1, 0, 1))
        self.assertEqual(nodes[0], nodes[1])
        self.assertEqual(nodes[2], nodes[3])
        self.assertNotEqual(nodes[1], nodes[2])

    def test_cpu_nodes_stage_to_each_node(self):
        from train_test import write_images
        write_images(self.folder / "images")
        scratch = self.folder / "scratch"
        self.assert_ends(self.submit(
            "cpu_nodes.sbatch", "--nodes=4", "--ntasks-per-node=2", "--cpus-per-task=1",
            settings=("--data.source", "folder", "--train.topk", "2", "--train.validate", "false"),
            STAGE_FROM=str(self.folder / "images"), SCRATCH=f"{scratch}/$SLURMD_NODENAME"))
        self.assertEqual(len(set(self.ranks())), 8)
        copies = sorted(scratch.glob("n[0-3]/*/data/train/class0/0.jpg"))
        self.assertEqual([path.relative_to(scratch).parts[0] for path in copies],
                         ["n0", "n1", "n2", "n3"])

    def test_a_wrong_setting_ends_the_job_with_its_code_and_one_complaint(self):
        job = self.submit("multi_node.sbatch", *TWO_RANKS, settings=("--train.batchsize", "3"))
        self.assert_ends(job, "FAILED", 78)
        self.assertEqual(self.log(job).count("layerledger: error: "), 1, self.log(job))
        self.assertFalse(self.run_file.exists())

    def test_cancelled(self):
        job = self.submit("multi_node.sbatch", *TWO_RANKS, iterations=10**6,
                          settings=("--output.commit_seconds", "0.1"))
        self.wait_for(lambda: self.committed() > 10, job)
        cluster.run("scancel", job)
        self.assertEqual(cluster.wait(job)[0], "CANCELLED")
        with h5py.File(self.run_file) as run:
            n = int(run.attrs["committed_iterations"])
            self.assertGreater(n, 10)
            np.testing.assert_array_equal(run["iteration"][:n], np.arange(n))


    def test_setup_may_use_what_is_not_set(self):
        self.assert_ends(self.submit("multi_node.sbatch", *TWO_RANKS,
                                     SETUP="export EXTRA=$NOT_SET_ANYWHERE:x; echo EXTRA=$EXTRA"))

    def test_setup_that_fails_ends_the_job(self):
        job = self.submit("multi_node.sbatch", *TWO_RANKS, SETUP="ls /no/such/module")
        self.assert_ends(job, "FAILED", 2)
        self.assertIn("/no/such/module", self.log(job))

    def test_scripts_outside_a_job_say_so(self):
        for script in ("single_node", "multi_node", "cpu_nodes", "requeue"):
            done = cluster.run("bash", SCRIPTS / f"{script}.sbatch")
            self.assertEqual(done.returncode, 64)
            self.assertIn(f"write 'sbatch {SCRIPTS / script}.sbatch ...'", done.stderr)
        done = cluster.run("bash", SCRIPTS / "scaling_report.sbatch")
        self.assertEqual((done.returncode, "FOLDER RUNS" in done.stderr), (64, True))


class Requeue(SlurmTest):
    def kill_rank(self, job):
        wanted = {f"SLURM_JOB_ID={job}".encode(), b"PMIX_RANK=1",
                  f"SLURM_CONF={cluster.folder}/slurm.conf".encode()}
        for process in pathlib.Path("/proc").glob("[0-9]*"):
            try:
                if (process / "comm").read_text() == "layerledger\n" and \
                        wanted <= set((process / "environ").read_bytes().split(b"\0")):
                    os.kill(int(process.name), signal.SIGKILL)
                    return
            except OSError:
                pass  # it has ended meanwhile
        self.fail(f"rank 1 is not there\n{self.log(job)}")

    def checkpoints(self):
        return list(self.folder.glob("run.checkpoints/checkpoint-*.h5"))

    def test_after_a_lost_rank_it_goes_on_from_the_newest_checkpoint(self):
        iterations = 400
        whole = self.submit("multi_node.sbatch", *TWO_RANKS, iterations=iterations, batch=16,
                            folder=self.folder / "undisturbed")
        self.assert_ends(whole, seconds=240)  # before the other: together they are slow on few cores
        job = self.submit("requeue.sbatch", *TWO_RANKS, iterations=iterations, batch=16,
                          settings=("--output.commit_seconds", "0.1"), CHECKPOINT_EVERY="20")
        self.wait_for(self.checkpoints, job, seconds=120)
        self.kill_rank(job)
        self.wait_for(lambda: cluster.job(job).get("Restarts") == "1", job)
        self.assertIn("ends here with 137; the job is queued again", self.log(job))
        with h5py.File(self.run_file) as run:
            self.assertEqual(run.attrs["status"], "failed")
        cluster.start_now(job)
        self.assert_ends(job, seconds=240)
        with h5py.File(self.run_file) as run, \
                h5py.File(self.folder / "undisturbed" / "run.h5") as other:
            self.assertEqual(run.attrs["status"], "complete")
            self.assertEqual(run["starts/started_iteration"].shape, (2,))
            np.testing.assert_array_equal(run["loss"][:], other["loss"][:])

    def test_after_a_lost_rank_that_saved_nothing_it_ends(self):
        job = self.submit("requeue.sbatch", *TWO_RANKS, iterations=10**6,
                          settings=("--output.commit_seconds", "0.1"), CHECKPOINT_EVERY="1000000")
        self.wait_for(lambda: self.committed() > 5, job)
        # What is no whole checkpoint of this training is not what it has saved.
        for path in ("run.checkpoints/checkpoint-000001.h5.part", "other.checkpoints/checkpoint-000001.h5"):
            (self.folder / path).parent.mkdir(exist_ok=True)
            (self.folder / path).touch()
        self.kill_rank(job)
        self.assert_ends(job, "FAILED", 137)
        self.assertEqual(cluster.job(job).get("Restarts"), "0")
        self.assertEqual(self.checkpoints(), [])

    def test_preempted_it_saves_goes_back_into_the_queue_and_on_without_a_seam(self):
        iterations = 500
        whole = self.submit("multi_node.sbatch", *TWO_RANKS, iterations=iterations, batch=32,
                            folder=self.folder / "undisturbed")
        job = self.submit("requeue.sbatch", *TWO_RANKS, iterations=iterations, batch=32,
                          settings=("--output.commit_seconds", "0.1"))
        self.wait_for(lambda: self.committed() > 5, job)
        cluster.run("scancel", "--signal=USR1", job)
        self.wait_for(lambda: cluster.job(job).get("Restarts") == "1", job)
        interrupted = self.committed()
        self.assertLess(interrupted, iterations)
        with h5py.File(self.run_file) as run:
            self.assertEqual(run.attrs["status"], "interrupted")
        cluster.start_now(job)
        self.assert_ends(job, seconds=120)
        self.assert_ends(whole, seconds=120)
        self.assertIn("start 1 of job", self.log(job))
        self.assertIn(f"iteration {iterations}/{iterations}", self.log(job))
        with h5py.File(self.run_file) as run, \
                h5py.File(self.folder / "undisturbed" / "run.h5") as other:
            self.assertEqual(run.attrs["status"], "complete")
            np.testing.assert_array_equal(run["iteration"][:], np.arange(iterations))
            np.testing.assert_array_equal(run["loss"][:], other["loss"][:])
            self.assertTrue(np.isfinite(run["iteration_time"][:]).all())

    def test_before_the_time_limit_it_saves_and_goes_back_into_the_queue(self):
        job = self.submit("requeue.sbatch", *TWO_RANKS, "--time=1", "--signal=USR1@60",
                          iterations=10**6)
        self.wait_for(lambda: cluster.job(job).get("Restarts") == "1", job, seconds=100)
        cluster.run("scancel", job)
        with h5py.File(self.run_file) as run:
            self.assertEqual(run.attrs["status"], "interrupted")
        self.assertIn("stopped on request", self.log(job))


class Scaling(SlurmTest):
    ANALYSIS = f"env PYTHONPATH={PROJECT}/analysis {sys.executable} -m layerledger"

    def study(self, *words, **environment):
        done = cluster.run(SCRIPTS / "submit_scaling.sh", *words, **{
            "JOB": str(SCRIPTS / "cpu_nodes.sbatch"),
            "JOB_OPTIONS": "--ntasks-per-node=1 --cpus-per-task=1",
            "OUTPUT": str(self.folder / "study"), "LAYERLEDGER": os.environ["LAYERLEDGER"],
            "ANALYSIS": self.ANALYSIS, **environment})
        numbers = [line.split()[1].rstrip(":") for line in done.stdout.splitlines()
                   if line.startswith("job ")]
        return done, numbers

    def report_log(self, job):
        return next((self.folder / "study").glob(f"*-{job}.out")).read_text()

    def test_one_command_makes_the_study_and_its_report(self):
        for scaling, batch, points, repetitions in (
                ("strong", 16, {1: 16, 2: 8, 4: 4}, 2), ("weak", 8, {1: 8, 2: 8}, 1)):
            with self.subTest(scaling):
                self.folder = cluster.folder / scaling
                done, jobs = self.study(
                    *(str(nodes) for nodes in points), "--network.architecture", "lenet5",
                    "--profile.warmup", "2", SCALING=scaling, BATCH=str(batch), ITERATIONS="12",
                    REPETITIONS=str(repetitions))
                self.assertEqual((done.returncode, len(jobs)), (0, len(points) + 1), done.stderr)
                ended = cluster.wait(jobs[-1], 120)
                self.assertEqual(ended, ("COMPLETED", 0), self.report_log(jobs[-1]))
                for nodes, expected in points.items():
                    for repetition in range(1, repetitions + 1):
                        part = f"nodes-{nodes}/repetition-{repetition:02}/*.h5"
                        path = next((self.folder / "study").rglob(
                            part if repetitions > 1 else f"nodes-{nodes}.h5"))
                        with h5py.File(path) as run:
                            self.assertEqual(run["hostname"].shape, (nodes,))
                            self.assertEqual(run["loss"].shape, (12,))
                            self.assertEqual(run["config/train.batch_size"].asstr()[()],
                                             str(expected))
                page = (self.folder / "study" / "report" / "index.html").read_text()
                self.assertIn(scaling, page.lower())

    def test_what_is_wrong_is_said_before_anything_is_submitted(self):
        for words, environment, said in (
                (("1",), {}, "at least two"),
                (("0", "1"), {}, "'0' is no number of nodes"),
                (("1", "x"), {}, "'x' is no number of nodes"),
                (("1", "2"), {"JOB_OPTIONS": "--ntasks-per-node=1 --nodes=3"}, "leave out --nodes=3"),
                (("1", "2"), {"SBATCH_OPTIONS": "-N 3"}, "leave out -N"),
                (("1", "2"), {"SCALING": "strong", "BATCH": "18", "JOB_OPTIONS": "--ntasks-per-node 4"},
                 "does not divide among 4 ranks (1 nodes)"),
                (("1", "2"), {"SCALING": "middling"}, "SCALING"),
                (("1", "2", "3"), {"SCALING": "strong", "BATCH": "16"}, "does not divide among 3"),
                (("1", "2", "--train.batch_size", "8"), {}, "BATCH")):
            done, jobs = self.study(*words, **environment)
            self.assertEqual((done.returncode, jobs), (64, []), words)
            self.assertIn(said, done.stderr)
        done, jobs = self.study("1", "2", "--config", "none.cfg")
        self.assertEqual((done.returncode, jobs), (66, []))
        self.assertIn("there is no 'none.cfg'", done.stderr)
        self.assertEqual(cluster.run("squeue", "-h").stdout, "")

    def test_help_names_the_settings(self):
        done, _ = self.study("--help")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        for said in ("submit_scaling.sh 1 2 4 8", "REPETITIONS=${REPETITIONS:-1}"):
            self.assertIn(said, done.stdout)

    def test_what_slurm_refuses_leaves_nothing(self):
        # One that takes the first job and refuses the second.
        own = self.folder / "bin" / "sbatch"
        own.parent.mkdir()
        own.write_text(f"#!/bin/bash\nif ! mkdir {self.folder}/taken; then exit 1; fi\n"
                       f"exec {shutil.which('sbatch', path=slurm_cluster.PATH)} --hold \"$@\"\n")
        own.chmod(0o755)
        for environment in ({"SBATCH_OPTIONS": "--partition=none"},
                            {"PATH": f"{own.parent}:{slurm_cluster.PATH}"}):
            done, jobs = self.study("1", "2", **environment)
            self.assertEqual(done.returncode, 69, done.stderr)
            self.assertIn("none of the study is left", done.stderr)
            self.assertFalse((self.folder / "study").exists())
        self.assertEqual(cluster.wait(jobs[0]), ("CANCELLED", 0))

    def report(self):
        """(state, code) and log of the report made once more."""
        job = cluster.submit(f"--output={self.folder}/study/report-%j.out",
                             SCRIPTS / "scaling_report.sbatch", self.folder / "study", 3,
                             ANALYSIS=self.ANALYSIS)
        ended = cluster.wait(job, 120)
        return ended, next((self.folder / "study").glob(f"*-{job}.out")).read_text()

    def test_a_point_that_failed_is_named_and_left_out_of_the_report(self):
        done, jobs = self.study("1", "2", "4", "--network.architecture", "lenet5", "--profile.warmup",
                                "2", "--profile.twin", "true", ITERATIONS="12", BATCH="4")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(cluster.wait(jobs[-1], 120), ("COMPLETED", 0), self.report_log(jobs[-1]))
        path = self.folder / "study" / "nodes-2.h5"
        with h5py.File(path, "r+") as run:
            run.attrs["status"] = "failed"
        ended, said = self.report()
        self.assertEqual(ended, ("FAILED", 66), said)
        self.assertIn(f"{path} is left out: its status is failed", said)
        path.unlink()
        ended, said = self.report()
        self.assertEqual(ended, ("FAILED", 66), said)
        self.assertIn("2 of 3 run files", said)
        for path in (self.folder / "study").glob("*.h5"):
            path.unlink()
        ended, said = self.report()
        self.assertEqual(ended, ("FAILED", 66), said)
        self.assertIn("not all runs are in the report", said)


if __name__ == "__main__":
    unittest.main()
