"""How ranks on several hosts find each other: what is said and recorded of the networks that they use,
and that a meeting which does not come about ends in time, with both addresses, and with code 69.

Hosts are network namespaces. Runs the program named by the environment variable LAYERLEDGER.
"""

import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time
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
SECONDS = 4
UNAVAILABLE = 69
ENVIRONMENT = {**os.environ, "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
LIMIT = 40  # for all that is around these seconds on a busy machine

if reason := network_hosts.missing():
    print(f"skipped: there can be no network namespaces here ({reason})")
    sys.exit(77)


class Rendezvous(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.hosts = self.enterContext(network_hosts.NetworkHosts(2))

    def command(self):
        return [PROGRAM, "train", "--network.architecture=lenet5", "--train.batch_size=4",
                "--train.iterations=20", "--device.threads=1", "--output.progress=none",
                f"--output.directory={self.folder}", "--output.file=run.h5",
                f"--sync.rendezvous_seconds={SECONDS}"]

    def train(self, *words, mpi=()):
        """(code, output) of four ranks on two hosts."""
        done = subprocess.run(
            [*self.hosts.mpirun(), *mpi, "-n", "4", *words, *self.command()],
            env=ENVIRONMENT,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            timeout=LIMIT, check=False)
        return done.returncode, done.stdout

    def fails_to_meet(self, pattern, *words, mpi=()):
        code, output = self.train(*words, mpi=mpi)
        self.assertEqual(code, UNAVAILABLE, output)
        self.assertRegex(output, pattern)
        self.assertFalse((self.folder / "run.h5").exists())
        return output

    def networks(self):
        with h5py.File(self.folder / "run.h5") as run:
            facts = run["provenance"]
            return facts["networks"][()].decode().splitlines() if "networks" in facts else None

    def test_says_and_records_what_each_node_uses(self):
        self.hosts.add_interface("eth1", ["10.78.0.1/24", "10.78.0.2/24"])
        code, output = self.train(mpi=["--mca", "btl_tcp_if_include", "eth1"])
        self.assertEqual(code, 0, output)
        expected = ["host0: MPI over 10.78.0.1 (eth1)", "host1: MPI over 10.78.0.2 (eth1)"]
        for line in expected:
            self.assertIn(line, output)
        self.assertEqual(self.networks(), expected)

    def test_names_all_where_messages_are_spread_over_several(self):
        self.hosts.add_interface("eth1", ["10.78.0.1/24", "10.78.0.2/24"])
        code, output = self.train()
        self.assertEqual(code, 0, output)
        self.assertEqual(self.networks(), ["host0: MPI over 10.77.0.1 (eth0) and 10.78.0.1 (eth1)",
                                           "host1: MPI over 10.77.0.2 (eth0) and 10.78.0.2 (eth1)"])

    def test_says_nothing_of_networks_on_one_node(self):
        code, output = self.train(mpi=["--map-by", "ppr:4:node", "--host", "host0:4"])
        self.assertEqual(code, 0, output)
        self.assertNotIn("MPI over", output)
        self.assertIsNone(self.networks())

    def test_an_interface_that_leads_nowhere(self):
        self.hosts.add_interface("eth1", ["10.78.0.1/24", "10.78.0.2/24"], is_joined=False)
        output = self.fails_to_meet(
            r"rank 0 on host0: no word of rank 2, rank 3 within 4 s \(10\.78\.0\.2 does not answer "
            r"10\.78\.0\.1 \(eth1\); this node has eth0 10\.77\.0\.1, eth1 10\.78\.0\.1, "
            r"btl_tcp_if_include is 'eth1'\)", mpi=["--mca", "btl_tcp_if_include", "eth1"])
        self.assertRegex(output, r"rank 2 on host1: no word of rank 0, rank 1 within 4 s "
                                 r"\(10\.78\.0\.1 does not answer 10\.78\.0\.2 \(eth1\)")

    def test_an_interface_that_leads_nowhere_among_others(self):
        self.hosts.add_interface("eth1", ["10.78.0.1/24", "10.78.0.2/24"], is_joined=False)
        self.fails_to_meet(r"no word of rank .* \(10\.78\.0\.\d does not answer 10\.78\.0\.\d \(eth1\).*"
                           r"btl_tcp_if_include is not set")

    def test_a_bridge_with_the_same_address_everywhere(self):
        self.hosts.add_interface("docker0", ["172.17.0.1/16"] * 2, is_joined=False)
        self.fails_to_meet(r"rank 0 on host0: no word of rank 2, rank 3 .*docker0 172\.17\.0\.1",
                           mpi=["--mca", "btl_tcp_if_include", "docker0"])

    def test_an_interface_that_is_not_there(self):
        self.fails_to_meet(r"rank 0 on host0: no word of rank 2 \(MPI finds no way to it; this node has "
                           r"eth0 10\.77\.0\.1, btl_tcp_if_include is 'ib0'\)",
                           mpi=["--mca", "btl_tcp_if_include", "ib0"])

    def test_a_rank_that_does_not_come(self):
        self.fails_to_meet(
            r"rank \d on host1: MPI did not start within 4 s \(rank 3 \(process \d+ 'sleep'\) has not "
            r"come to it;.*10\.77\.0\.2.*10\.77\.0\.1",
            "bash", "-c", "[ $PMIX_RANK = 3 ] && exec sleep 1000; exec \"$@\"", "-")

    def test_a_link_that_is_cut_before_the_ranks_start(self):
        ready, log = self.folder / "ready", self.folder / "output"
        with open(log, "wb") as output:
            # That mpirun goes on asking for the lost node is its own matter: slurm/README.md says how it
            # notices. The ranks, which have said what is wrong, are gone.
            job = subprocess.Popen(
                [*self.hosts.mpirun(), "-n", "4", "bash", "-c",
                 f"touch {ready}$PMIX_RANK; while [ ! -e {ready} ]; do sleep 0.1; done; exec \"$@\"", "-",
                 *self.command()], env=ENVIRONMENT, stdin=subprocess.DEVNULL, stdout=output,
                stderr=output)
        self.addCleanup(job.wait)
        self.addCleanup(job.kill)
        self.wait_until(lambda: all(pathlib.Path(f"{ready}{rank}").exists() for rank in range(4)), log)
        self.hosts.cut(1)
        ready.touch()
        said = (r"rank 0 on host0: MPI did not start within 4 s \(.*10\.77\.0\.1 \(eth0\) "
                r"to 10\.77\.0\.2")
        self.wait_until(lambda: re.search(said, log.read_text()), log)
        children = pathlib.Path(f"/proc/{job.pid}/task/{job.pid}/children")
        self.wait_until(lambda: not self.ranks(children), log)

    def ranks(self, children):
        return [pid for pid in children.read_text().split()
                if pathlib.Path(f"/proc/{pid}/comm").read_text().strip() == "layerledger"]

    def wait_until(self, condition, log):
        deadline = time.monotonic() + LIMIT
        while not condition():
            self.assertLess(time.monotonic(), deadline, log.read_text())
            time.sleep(0.05)


if __name__ == "__main__":
    unittest.main()
