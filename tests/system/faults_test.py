"""Faults, each under mpirun and under the shipped srun line: the job ends in time and with the right
code, says why, and the run file holds everything that was committed. The rows are in
tests/support/fault_matrix.py; tests/bench/faults.py repeats them.

Runs the program named by the environment variable LAYERLEDGER.
"""

import os
import pathlib
import sys
import tempfile
import unittest

PROJECT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(PROJECT / "tests" / "support"))

try:
    import fault_matrix
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(77)
import slurm_cluster
from fault_matrix import ROWS, MpirunLauncher, SrunLauncher

PROGRAM = os.environ["LAYERLEDGER"]


class Column:
    """A test for each row; those that share a launcher run one after another."""

    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory(prefix="layerledger-faults-")
        cls.addClassCleanup(folder.cleanup)
        cls.folder = pathlib.Path(folder.name)
        cls.launcher = cls.enterClassContext(cls.make("launcher", 0))

    def end(self, name):
        row = ROWS[name]
        if reason := row.missing(self.launcher):
            self.skipTest(reason)
        launcher = self.enterContext(self.make(name, row.hosts)) if row.hosts else self.launcher
        fault_matrix.run_cell(row, launcher, self.folder / f"cell of {name}")


for number, row_name in enumerate(ROWS):
    def test(self, name=row_name):
        self.end(name)
    setattr(Column, f"test_{number:02}_{row_name.replace(' ', '_')}", test)


class Mpirun(Column, unittest.TestCase):
    @classmethod
    def make(cls, _, hosts):
        return MpirunLauncher(PROGRAM, os.environ["MPIRUN"].split(), hosts)


@unittest.skipIf(slurm_cluster.missing(), f"needs {', '.join(slurm_cluster.missing())}")
class Srun(Column, unittest.TestCase):
    @classmethod
    def make(cls, name, hosts):
        return SrunLauncher(PROGRAM, cls.folder / f"cluster of {name}", hosts)


if __name__ == "__main__":
    unittest.main()
