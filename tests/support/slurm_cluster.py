"""A Slurm cluster of a test's own: controller, four nodes and munged on loopback, on free ports, in a
folder of the test's, gone with it.

    with SlurmCluster(folder) as cluster:
        job = cluster.submit("slurm/cpu_nodes.sbatch", "--nodes=2")
        state, code = cluster.wait(job)

Every node is a slurmd on this machine, with CPUs and GPUs of the configuration's say-so. Given
`NetworkHosts`, node i is on host i, the controller on host 0.
"""

import getpass
import os
import pathlib
import shutil
import signal
import socket
import stat
import subprocess
import tempfile
import time

from servers import free_port

NODES = 4
CPUS = 8
GPUS = 2
PROGRAMS = ("slurmctld", "slurmd", "sinfo", "srun", "sbatch", "munged")
# Cleans up where the test itself is killed: reads process ids until its input ends, and unless the last
# word is "stopped" ends the jobs, then the daemons.
GUARD = """
while read -r word; do
    case $word in stopped) exit ;; *) daemons+=("$word") ;; esac
done
scancel --user "$(id -un)"
sleep 5
kill -KILL "${daemons[@]}"
rm -rf "$1"
"""
PATH = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"


def missing():
    """What a cluster needs and this machine lacks; empty where it lacks nothing."""
    lacking = [name for name in PROGRAMS if not shutil.which(name, path=PATH)]
    try:
        with tempfile.TemporaryDirectory() as folder:
            make_gpu(pathlib.Path(folder) / "gpu")
    except OSError:
        lacking.append("the right to make device files, which stand for GPUs")
    return lacking


def make_gpu(path):
    os.mknod(path, 0o666 | stat.S_IFCHR, os.makedev(1, 3))


class SlurmCluster:
    def __init__(self, folder, hosts=None):
        self.folder = pathlib.Path(folder)
        self._hosts = hosts
        self.nodes = len(hosts.names) if hosts else NODES
        own = socket.gethostname().split(".")[0]
        self._names = hosts.names if hosts else [own] * NODES
        self._addresses = hosts.addresses if hosts else ["127.0.0.1"] * NODES
        self.environment = {
            **os.environ, "PATH": PATH, "SLURM_CONF": str(self.folder / "slurm.conf"),
            "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
            # The "nodes" share one kernel: Open MPI must not take them for one.
            "OMPI_MCA_btl": "tcp,self",
            "OMPI_MCA_btl_tcp_if_include": "eth0" if hosts else "lo",
            "LAYERLEDGER_DEVICE__THREADS": "1"}  # and they share its cores
        for name in [name for name in self.environment if name.startswith("SLURM_")
                     and name != "SLURM_CONF"]:
            del self.environment[name]  # those of a job that the test itself runs in
        self._daemons = []
        self._guard = None

    def __enter__(self):
        try:
            self._configure()
            self._guard = subprocess.Popen(  # no child of the test's, with which it would be killed
                ["setsid", "--fork", "bash", "-c", GUARD, "guard", self.folder], text=True,
                env=self.environment, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL)
            self._start("munged", "--foreground", "--force", f"--socket={self.folder}/munge.socket",
                        f"--key-file={self.folder}/munge.key", f"--pid-file={self.folder}/munge.pid",
                        f"--seed-file={self.folder}/munge.seed",
                        f"--log-file={self.folder}/munged.log")
            self._wait(lambda: (self.folder / "munge.socket").exists(), "munged")
            self._start("slurmctld", "-D", "-c")
            for i in range(self.nodes):
                self._start("slurmd", "-D", "-N", f"n{i}", node=i)
            self._wait(lambda: self._output("sinfo", "-h", "-t", "idle", "-o", "%D").strip()
                       == str(self.nodes), "the nodes")
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_):
        self.stop()

    def _configure(self):
        for name in ("state", "scratch", *(f"{part}/n{i}" for part in ("spool", "tmp")
                                           for i in range(self.nodes))):
            (self.folder / name).mkdir(parents=True)
        # Without a folder of its own (TmpFS) every node makes the same one for PMIx.
        key = self.folder / "munge.key"
        key.write_bytes(os.urandom(128))
        key.chmod(0o400)
        user = getpass.getuser()
        for i in range(GPUS):
            make_gpu(self.folder / f"gpu{i}")
        (self.folder / "gres.conf").write_text(f"Name=gpu File={self.folder}/gpu[0-{GPUS - 1}]\n")
        nodes = "".join(
            f"NodeName=n{i} NodeHostname={self._names[i]} NodeAddr={self._addresses[i]} "
            f"Port={free_port()} CPUs={CPUS} Gres=gpu:{GPUS} State=UNKNOWN\n"
            for i in range(self.nodes))
        (self.folder / "slurm.conf").write_text(
            "ClusterName=test\n"
            f"SlurmctldHost={self._names[0]}({self._addresses[0]})\nSlurmctldPort={free_port()}\n"
            f"SlurmUser={user}\nSlurmdUser={user}\n"
            f"AuthType=auth/munge\nAuthInfo=socket={self.folder}/munge.socket\n"
            "CredType=cred/munge\n"
            "MpiDefault=none\nProctrackType=proctrack/linuxproc\nTaskPlugin=task/none\n"
            "SelectType=select/cons_tres\nSelectTypeParameters=CR_CPU\nGresTypes=gpu\n"
            "SlurmdParameters=config_overrides\nReturnToService=2\nKillWait=3\nMinJobAge=600\n"
            "SlurmctldDebug=info\nSlurmdDebug=info\n"
            "JobAcctGatherType=jobacct_gather/none\nSwitchType=switch/none\n"
            "SchedulerParameters=sched_interval=1,bf_interval=1,requeue_delay=1\n"
            f"StateSaveLocation={self.folder}/state\nSlurmdSpoolDir={self.folder}/spool/%n\n"
            f"TmpFS={self.folder}/tmp/%n\n"
            f"SlurmctldPidFile={self.folder}/slurmctld.pid\n"
            f"SlurmdPidFile={self.folder}/slurmd-%n.pid\n"
            f"SlurmctldLogFile={self.folder}/slurmctld.log\n"
            f"SlurmdLogFile={self.folder}/slurmd-%n.log\n"
            + nodes + "PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP\n")

    def _on(self, node, command):
        command = [str(word) for word in command]
        return self._hosts.on(node, *command) if self._hosts else command

    def _start(self, *command, node=0):
        with open(self.folder / "daemons.log", "ab") as log:
            self._daemons.append(subprocess.Popen(self._on(node, command), env=self.environment,
                                                  stdin=subprocess.DEVNULL, stdout=log, stderr=log))
        self._guard.stdin.write(f"{self._daemons[-1].pid}\n")
        self._guard.stdin.flush()

    def _output(self, *command):
        return subprocess.run(self._on(0, command), env=self.environment, capture_output=True,
                              text=True, timeout=60, check=False).stdout

    def _wait(self, condition, what, seconds=30):
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline or any(d.poll() is not None for d in self._daemons):
                raise RuntimeError(f"{what} did not come up:\n{self.log()}")
            time.sleep(0.1)

    def log(self):
        """The last words of every daemon."""
        return "\n".join(f"--- {path.name}\n" + "\n".join(path.read_text().splitlines()[-5:])
                         for path in sorted(self.folder.glob("*.log")))

    def run(self, *command, timeout=120, **environment):
        """A command as a user on the cluster types it."""
        return subprocess.run(self._on(0, command), stdin=subprocess.DEVNULL,
                              env={**self.environment, **environment}, cwd=self.folder,
                              capture_output=True, text=True, timeout=timeout, check=False)

    def submit(self, *words, **environment):
        done = self.run("sbatch", "--parsable", *words, **environment)
        if done.returncode != 0:
            raise RuntimeError(f"sbatch: {done.stderr}")
        return int(done.stdout.split(";")[0])

    def job(self, number):
        """What Slurm knows of a job, by Slurm's own names."""
        words = self._output("scontrol", "show", "--oneliner", "job", str(number)).split()
        return dict(word.split("=", 1) for word in words if "=" in word)

    def wait(self, number, seconds=60):
        """(state, exit code) of a job that has ended."""
        deadline = time.monotonic() + seconds
        while (job := self.job(number)).get("JobState") in ("PENDING", "CONFIGURING", "RUNNING",
                                                            "COMPLETING", "REQUEUED"):
            if time.monotonic() > deadline:
                raise RuntimeError(f"job {number} is still {job['JobState']} after {seconds} s "
                                   f"(reason {job.get('Reason')}):\n{self.log()}")
            time.sleep(0.2)
        return job.get("JobState"), int(job.get("ExitCode", "-1:0").split(":")[0])

    def start_now(self, number, seconds=60):
        """A job that went back into the queue, which Slurm holds there for two minutes so that what
        is left of its first start is gone. Its nodes tell the two starts apart by the second, and
        take one of the same second for the one that they were told to end ("credential revoked")."""
        deadline = time.monotonic() + seconds
        # A step, which serves the job's tasks on a node, has a socket there while it lives.
        while self.job(number).get("JobState") != "PENDING" or \
                any(self.folder.glob(f"spool/*/*_{number}.*")):
            if time.monotonic() > deadline:
                raise RuntimeError(f"job {number} is not back in the queue: {self.job(number)}")
            time.sleep(0.2)
        self.run("scontrol", "update", f"jobid={number}", "StartTime=now+2")

    def stop(self):
        """Ends the jobs, then the daemons, newest first."""
        if self._daemons:
            self.run("scancel", "--user", getpass.getuser())
            deadline = time.monotonic() + 15
            while time.monotonic() < deadline and self._output("squeue", "-h").strip():
                time.sleep(0.1)
        for daemon in reversed(self._daemons):
            if daemon.poll() is None:
                daemon.send_signal(signal.SIGTERM)
        for daemon in reversed(self._daemons):
            try:
                daemon.wait(timeout=10)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()
        self._daemons.clear()
        if self._guard:
            self._guard.communicate("stopped\n")
            self._guard = None
