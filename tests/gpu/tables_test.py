"""What tests/gpu/tables.py holds against what the parts of tests/gpu/run left. Needs no GPU."""

import csv
import json
import pathlib
import subprocess
import sys
import tempfile
import unittest

TABLES = pathlib.Path(__file__).with_name("tables.py")
FALLING = [32 - 0.8 * i for i in range(20)]


class Tables(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.out = pathlib.Path(folder.name)

    def write_losses(self, name, losses):
        folder = self.out / "runs" / name
        folder.mkdir(parents=True)
        with open(folder / "run-iterations.csv", "w", newline="", encoding="utf-8") as file:
            table = csv.writer(file)
            table.writerow(["rank", "warmup", "loss"])
            table.writerows(["0", "0", loss] for loss in losses)

    def verdict(self, part, text):
        (self.out / f"{part}.verdict").write_text(f"{part}\t{text}\t3\n", encoding="utf-8")

    def tables(self, has_gpu="1"):
        done = subprocess.run([sys.executable, "-B", TABLES, self.out, "/nowhere", has_gpu], capture_output=True,
                              text=True, timeout=60, check=False)
        self.assertEqual(done.stderr, "")
        return done.returncode, done.stdout, json.loads((self.out / "summary.json").read_text(encoding="utf-8"))

    def compare(self, on_gpu, on_cpu):
        self.write_losses("losses-lrn-cuda", on_gpu)
        self.write_losses("losses-lrn-cpu", on_cpu)
        self.write_losses("losses-lrn-cpu-again", on_cpu)
        code, said, _ = self.tables()
        return code, said

    def test_losses_that_fall_alike_are_right(self):
        code, said = self.compare([1.0001 * loss for loss in FALLING], FALLING)
        self.assertEqual(code, 0, said)
        self.assertIn("the last is 0.52 of the first", said)

    def test_losses_that_agree_but_stay_where_they_are_are_not(self):
        code, said = self.compare([32.0] * 20, [32.0] * 20)
        self.assertEqual(code, 1, said)
        self.assertIn("missed: losses of AlexNet (lrn) fall", said)

    def test_losses_apart_are_not(self):
        code, said = self.compare([1.01 * loss for loss in FALLING], FALLING)
        self.assertEqual(code, 1, said)
        self.assertIn("missed: losses of AlexNet (lrn) on the GPU within", said)

    def test_too_few_iterations_to_fall_only_try_the_script(self):
        code, said = self.compare([32.0] * 3, [32.0] * 3)
        self.assertEqual(code, 0, said)

    def test_parts_left_out_are_counted_and_fail_the_whole(self):
        self.verdict("versions", "passed")
        self.verdict("kernels", "skipped")
        self.verdict("speed", "left out: of the 465 s for all parts 2 were left")
        self.verdict("account", "left out: of the 465 s for all parts 2 were left")
        code, said, summary = self.tables()
        self.assertEqual(code, 1, said)
        self.assertIn("2 parts were left out for want of time: account, speed", said)
        self.assertEqual(summary["parts"]["speed"]["seconds"], 3)


if __name__ == "__main__":
    unittest.main()
