#!/usr/bin/env python3
"""The install tree runs where it was not made, and tests/gpu/run in it does what a machine allows.

Packs the build named by the environment variable BUILD, with the program CMAKE, and unpacks it.
"""

import json
import os
import pathlib
import re
import shutil
import subprocess
import tarfile
import tempfile
import unittest

USAGE, NO_TREE = 64, 66
MOST_CARRIED_BYTES = 50 * 2**20
AS_ROOT = {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
OF_THE_MACHINE = re.compile(
    r"(linux-vdso|ld-linux[\w-]*|lib(c|m|dl|pthread|rt|resolv|util|nsl|anl|mvec))\.so")
OF_A_GPU = re.compile(r"lib(cuda|cudart|cublas|cublasLt|cudnn\w*|nccl|cupti|nvrtc|nvJitLink)\.so")


class InstallTree(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="layerledger-install-"))
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        subprocess.run([pathlib.Path(os.environ["CMAKE"]).with_name("cpack"), "--config",
                        f"{os.environ['BUILD']}/CPackConfig.cmake", "-B", cls.folder / "made here"],
                       check=True, stdout=subprocess.DEVNULL, timeout=300)
        (cls.package,) = (cls.folder / "made here").glob("*.tar.gz")
        with tarfile.open(cls.package) as package:
            package.extractall(cls.folder / "unpacked")
        (unpacked,) = (cls.folder / "unpacked").iterdir()
        cls.tree = cls.folder / "moved there"
        unpacked.rename(cls.tree)

    def run_bare(self, *words, **environment):
        """With nothing in the environment that could point to this machine's libraries."""
        return subprocess.run([str(word) for word in words], capture_output=True, text=True,
                              timeout=200, stdin=subprocess.DEVNULL, cwd=self.folder, check=False,
                              env={"PATH": "/usr/bin:/bin"} | AS_ROOT | environment)

    def test_what_is_carried_is_small(self):
        self.assertLess(self.package.stat().st_size, MOST_CARRIED_BYTES)

    def test_says_its_versions(self):
        done = self.run_bare(self.tree / "bin" / "layerledger", "version")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("Open MPI", done.stdout)

    def test_every_library_but_the_c_library_and_a_gpus_is_in_the_tree(self):
        for program in (self.tree / "libexec" / "layerledger").iterdir():
            listed = self.run_bare("ldd", program, LD_LIBRARY_PATH=str(self.tree / "lib")).stdout
            for line in listed.splitlines():
                name = line.split()[0].rsplit("/", 1)[-1]
                if not OF_THE_MACHINE.match(name) and not OF_A_GPU.match(name):
                    self.assertIn(str(self.tree), line, program)

    def test_trains_on_two_ranks_with_next_to_nothing_around(self):
        tools = self.folder / "tools"
        tools.mkdir()
        for tool in ("sh", "dirname", "basename", "readlink", "env"):
            (tools / tool).symlink_to(shutil.which(tool))
        done = self.run_bare(
            self.tree / "bin" / "mpirun", "-n", 2, "--oversubscribe", "--bind-to", "none",
            self.tree / "bin" / "layerledger", "train", "--network.architecture", "lenet5",
            "--train.batch_size", 8, "--train.iterations", 8, "--profile.warmup", 2,
            "--device.backend", "cpu", "--device.threads", 1, "--output.directory", "runs",
            PATH=str(tools))
        self.assertEqual(done.returncode, 0, done.stderr)
        checked = self.run_bare(self.tree / "bin" / "layerledger", "check",
                                self.folder / "runs" / "experiment.h5")
        self.assertEqual(checked.returncode, 0, checked.stdout + checked.stderr)

    def script(self, *words, **environment):
        return self.run_bare(self.tree / "share" / "layerledger" / "tests" / "gpu" / "run", *words,
                             **environment)

    def test_checks_run_from_the_tree(self):
        out = self.folder / "out"
        done = self.script(out, "versions", "golden", "ranks", "bad_input", LAYERLEDGER_GPU_QUICK="1")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        summary = json.loads((out / "summary.json").read_text(encoding="utf-8"))
        self.assertEqual({part: one["verdict"] for part, one in summary["parts"].items()},
                         {"versions": "passed", "golden": "passed", "ranks": "passed",
                          "bad_input": "passed"})
        self.assertTrue(summary["golden"])
        self.assertIn("OK ] GradientsOfRanks.OnCpusMpiSumsThoseOfEachRank", (out / "ranks.log").read_text())
        self.assertTrue((out / "results.tar.gz").stat().st_size)
        if summary["device"] is None:
            self.assertIn("owed", done.stdout)

    def test_without_a_gpu_what_needs_one_is_skipped_and_says_so(self):
        out = self.folder / "skipped"
        done = self.script(out, "kernels", "graph", "speed")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        summary = json.loads((out / "summary.json").read_text(encoding="utf-8"))
        if summary["device"] is None:
            self.assertEqual({one["verdict"] for one in summary["parts"].values()}, {"skipped"})
            self.assertIn("needs a GPU", (out / "kernels.log").read_text())

    def test_a_failed_part_leaves_the_rest_and_fails_the_whole(self):
        out = self.folder / "cut"
        done = self.script(out, "versions", "golden", "ranks", LAYERLEDGER_GPU_SECONDS="0.01")
        self.assertEqual(done.returncode, 1, done.stdout)
        summary = json.loads((out / "summary.json").read_text(encoding="utf-8"))
        self.assertEqual(sorted(summary["parts"]), ["golden", "ranks", "versions"])
        self.assertIn("cut off after", summary["parts"]["golden"]["verdict"])

    def test_parts_that_there_is_no_time_for_are_left_out_by_name(self):
        out = self.folder / "late"
        done = self.script(out, "versions", "kernels", LAYERLEDGER_GPU_BUDGET="0")
        self.assertEqual(done.returncode, 1, done.stdout)
        summary = json.loads((out / "summary.json").read_text(encoding="utf-8"))
        for part in ("versions", "kernels"):
            self.assertIn("left out", summary["parts"][part]["verdict"])
        self.assertIn("2 parts were left out for want of time: kernels, versions", done.stdout)

    def test_bad_words(self):
        self.assertEqual(self.script().returncode, USAGE)
        done = self.script(self.folder / "out", "spede")
        self.assertEqual(done.returncode, USAGE)
        self.assertIn("no part 'spede'", done.stderr)
        done = self.script(self.folder / "out", LAYERLEDGER_GPU_BUDGET="long")
        self.assertEqual(done.returncode, USAGE)
        self.assertIn("'long' as LAYERLEDGER_GPU_BUDGET", done.stderr)
        done = self.script(self.folder / "out", LAYERLEDGER_PREFIX="/nowhere")
        self.assertEqual(done.returncode, NO_TREE)
        self.assertIn("cmake --install", done.stderr)


if __name__ == "__main__":
    unittest.main()
