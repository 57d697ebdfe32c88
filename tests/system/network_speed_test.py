"""The bandwidth that a run file gives for a bucket's all-reduce, against a link whose speed is known.

Two hosts are network namespaces whose links send no faster than they are told to. Runs the program
named by the environment variable LAYERLEDGER.
"""

import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

PROJECT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(PROJECT / "tests" / "support"))

try:
    import h5py
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(77)
import network_hosts

PROGRAM = os.environ["LAYERLEDGER"]
ENVIRONMENT = {**os.environ, "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
LIMIT = 120
# Two ranks exchange a bucket both ways at once. Acknowledgements queue behind the other way's data, so
# that TCP takes half of a link or less; but for the first burst it can never take more than the link.
LEAST_SHARE, MOST_SHARE = 0.25, 1.05

if reason := network_hosts.missing():
    print(f"skipped: there can be no network namespaces here ({reason})")
    sys.exit(77)


class KnownLink(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.hosts = self.enterContext(network_hosts.NetworkHosts(2))

    def anatomy(self, mbit_per_s):
        """Of the one bucket of a run over links of that speed, by column."""
        try:
            self.hosts.limit(mbit_per_s)
        except OSError as why:
            self.skipTest(f"links cannot be limited here ({why})")
        done = subprocess.run(
            [*self.hosts.mpirun(slots=1), "-n", "2", PROGRAM, "train",
             "--network.architecture=lenet5", "--network.classes=8000", "--train.batch_size=1",
             "--train.iterations=8", "--train.validate=false", "--profile.warmup=1",
             "--sync.bucket_mb=100", "--device.threads=1", "--output.progress=none",
             "--output.overwrite=true", f"--output.directory={self.folder}", "--output.file=run.h5"],
            env=ENVIRONMENT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, timeout=LIMIT, check=False)
        self.assertEqual(done.returncode, 0, done.stdout)
        with h5py.File(self.folder / "run.h5") as run:
            self.assertEqual(run["bucket"].size, 1)
            self.assertGreater(run["bucket_bytes"][0], 2e6)
            return {name.removeprefix("anatomy_"): data[0] for name, data in run["anatomy"].items()}

    def test_the_bus_bandwidth_is_the_links(self):
        for mbit_per_s in (100, 400):
            with self.subTest(mbit_per_s=mbit_per_s):
                bucket = self.anatomy(mbit_per_s)
                link = mbit_per_s / 8 / 1e3  # GB/s
                share = bucket["bus_bandwidth"] / link
                self.assertGreater(share, LEAST_SHARE, bucket)
                self.assertLess(share, MOST_SHARE, bucket)
                self.assertAlmostEqual(bucket["hidden"] + bucket["exposed"],
                                       bucket["wait"] + bucket["transfer"], delta=1)
                self.assertGreater(bucket["transfer"], bucket["wait"])  # nothing else takes long here
                self.assertGreater(bucket["zero_skew"], bucket["transfer"] / 4)
                self.assertLess(bucket["zero_skew"], 4 * bucket["transfer"])


if __name__ == "__main__":
    unittest.main()
