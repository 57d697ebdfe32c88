"""The exported tables in a spreadsheet program: opened, kept as a workbook, and read back.

Runs the program named by the environment variable LAYERLEDGER, behind the command named by MPIRUN, and
LibreOffice Calc (Debian's libreoffice-calc-nogui), which only this test wants.
"""

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

if not shutil.which("soffice"):
    print("skipped: no LibreOffice (soffice) here")
    sys.exit(77)

PROGRAM = os.environ["LAYERLEDGER"]
MPIRUN = os.environ["MPIRUN"].split()
NAME = 'lenet, the "größte"'
TABLES = ("layers", "iterations", "experiment")
# A comma between columns, quotes around texts, UTF-8; read as English, written with all digits.
READ = "CSV:44,34,76,1,,1033"
WRITE = "csv:Text - txt - csv (StarCalc):44,34,76,1,,1033,false,false"


class Spreadsheet(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.folder = pathlib.Path(folder.name)
        cls.run_file = cls.folder / f"{NAME}.h5"
        subprocess.run([*MPIRUN, "-n", "2", PROGRAM, "train", "--network.architecture", "lenet5",
                        "--train.batch_size", "8", "--train.iterations", "40", "--output.directory",
                        cls.folder, "--experiment.name", NAME], check=True, timeout=120,
                       stdin=subprocess.DEVNULL, capture_output=True)
        subprocess.run([PROGRAM, "export", cls.run_file, "--csv", cls.folder / "csv"], check=True,
                       timeout=60, capture_output=True)
        cls.convert("xlsx", "csv", "workbook", READ)
        cls.convert(WRITE, "workbook", "back")
        cls.tables = {name: pandas.read_csv(cls.folder / "back" / f"{name}.csv") for name in TABLES}

    @classmethod
    def convert(cls, to, source, target, *filters):
        words = ["soffice", "--headless", f"-env:UserInstallation=file://{cls.folder}/profile",
                 *(f"--infilter={words}" for words in filters), "--convert-to", to, "--outdir",
                 cls.folder / target, *(cls.folder / source).iterdir()]
        subprocess.run(words, check=True, timeout=120, stdin=subprocess.DEVNULL,
                       capture_output=True)

    def test_layers_are_the_run_files_to_the_last_bit(self):
        table = self.tables["layers"]
        with h5py.File(self.run_file) as run:
            time, names = run["layer_time"][:], list(run["layer"].asstr()[:])
        self.assertEqual(len(table), time[..., 0].size)
        at = (table.iteration, table["rank"], table.layer.map(names.index))
        for phase, column in enumerate(("forward_ms", "backward_ms", "update_ms")):
            np.testing.assert_array_equal((table[column] * 1000).to_numpy(np.float32),
                                          time[(*at, phase)])
        self.assertEqual(set(table.run), {NAME})

    def test_iterations_are_the_run_files_to_the_last_bit(self):
        table = self.tables["iterations"]
        at = (table.iteration, table["rank"])
        with h5py.File(self.run_file) as run:
            self.assertEqual(len(table), run["iteration_time"].size)
            for column, name in (("time_ms", "iteration_time"), ("unaccounted_ms", "unaccounted")):
                np.testing.assert_array_equal((table[column] * 1000).to_numpy(np.float32),
                                              run[name][:][at])
            for name in ("loss", "top1", "topk"):
                np.testing.assert_array_equal(table[name].to_numpy(np.float32),
                                              run[name][:][table.iteration])

    def test_the_experiment_is_one_row_as_it_was_exported(self):
        before = pandas.read_csv(self.folder / "csv" / "experiment.csv")
        after = self.tables["experiment"]
        self.assertEqual(list(after.columns), list(before.columns))
        self.assertEqual(len(after), 1)
        for column in before:
            was, is_now = before[column][0], after[column][0]
            if isinstance(was, float):
                np.testing.assert_allclose(is_now, was, rtol=1e-13, err_msg=column)
            else:
                self.assertEqual(is_now, was, column)


if __name__ == "__main__":
    unittest.main()
