"""Faults of a training, and how it must end under each launcher: rows of a matrix, mpirun and the
shipped srun line its columns. A cell is one training of a few seconds with one fault.

    with MpirunLauncher(program, mpirun) as launcher:
        seconds = run_cell(ROWS["killed"], launcher, folder)  # raises Broken where anything is not as it must be
"""

import dataclasses
import fcntl
import os
import pathlib
import re
import shutil
import signal
import subprocess
import time

import h5py
import numpy as np

import network_hosts
import slurm_cluster

PROJECT = pathlib.Path(__file__).resolve().parents[2]
BAD_DATA, INTERNAL, DATA_LOST = 65, 70, 74
LOST_DAEMON = 205  # mpirun's, where it hears no more of a node
DEADLINE = 4  # seconds that ranks wait for each other; on a busy machine a commit may take some
PLACE = r"rank \d+ on \S+:? in iteration \d+, "
UNHEARD = r"nothing was heard of rank 1 on \S+ \(lost, stopped or cut off"
KILLED = 128 + signal.SIGKILL
TOLD = r"rank {} on \S+: in iteration \d+, .*the process was told to end \(Terminated.*nothing was heard of "


class Broken(AssertionError):
    """The cell did not end as it must."""


@dataclasses.dataclass
class Row:
    """`codes` (none where a launcher has no such fault), `says` (what must be found in the output) and
    `status` for mpirun and srun. `limit` is the most seconds from the fault to the end."""
    strike: object
    codes: tuple
    says: tuple
    status: tuple = ("failed", "failed")
    settings: dict = dataclasses.field(default_factory=dict)
    kind: str = ""  # of a fault that the preloaded library makes
    limit: float = 15
    needs: object = lambda: ""  # why it cannot be here; empty where it can
    hosts: int = 0  # namespaces that it runs on; 0: none
    size: int = 3  # ranks
    mpirun_at: int = 0  # host
    keeps_file: bool = True
    prepare: object = lambda cell: {}  # further settings
    is_there: object = lambda cell: cell.committed() >= 20  # when it is time to strike

    def missing(self, launcher):
        """Why it cannot be under a launcher; empty where it can."""
        return self.needs() if self.codes[launcher.column] is not None else "it has no such fault"


# --- What is done to a training.

def fail_inside(cell):
    cell.trigger.touch()


def kill(rank):
    return lambda cell: os.kill(cell.ranks()[rank], signal.SIGKILL)


def stop(cell):
    os.kill(cell.ranks()[1], signal.SIGSTOP)


def suspend(cell):
    """As schedulers do with a job whose processors are wanted for a while."""
    ranks = cell.ranks().values()
    for pid in ranks:
        os.kill(pid, signal.SIGSTOP)
    time.sleep(2 * DEADLINE)
    for pid in ranks:
        os.kill(pid, signal.SIGCONT)


def cut(host):
    return lambda cell: cell.launcher.hosts.cut(host)


def fill_disk(cell):
    with open(cell.runs / "filler", "wb", buffering=0) as filler:
        try:
            for size in (1 << 16, 1):
                while True:
                    filler.write(bytes(size))
        except OSError:
            pass


def delete_folder(cell):
    while cell.runs.exists():
        shutil.rmtree(cell.runs, ignore_errors=True)


def lock(cell):
    reader = open(cell.run_file, "rb")
    cell.held.append(reader)
    fcntl.flock(reader, fcntl.LOCK_SH)


def why_no_small_disk():
    return "" if os.geteuid() == 0 else "only root may mount a small disk"


def make_pipe(cell):
    """Rank 0 reads its classes from a pipe to which nobody writes, while the others wait for it."""
    for name in "ab":
        (cell.folder / "images" / "train" / name).mkdir(parents=True)
        (cell.folder / "images" / "train" / name / "1.JPEG").write_bytes(b"")
    cell.pipe = cell.folder / "classes"
    os.mkfifo(cell.pipe)
    return {"data.source": "folder", "data.root": cell.folder / "images", "data.classes": cell.pipe}


def is_read(cell):
    try:
        cell.held.append(open(os.open(cell.pipe, os.O_WRONLY | os.O_NONBLOCK), "wb", buffering=0))
    except OSError:  # not yet
        return False
    return True


# Slurm's PMIx ends the others with SIGKILL in the moment in which a rank is gone: it is srun that names
# the rank, and the script that has the file marked.
CLOSED = r"[\s\S]*run\.h5' says failed: it was cut off after iteration \d+, the last that is in it"
COMPLETE = {"status": ("complete", "complete"), "settings": {"train.iterations": 1000}, "limit": 60}
ENDLESS = {"train.iterations": 10**6}
ROWS = {
    "throws": Row(fail_inside, (INTERNAL, INTERNAL), (PLACE + r"(forward|backward|update) of \w+: .*oneDNN",) * 2,
                  kind="throws"),
    "exits": Row(fail_inside, (5, KILLED),
                 (TOLD.format("[02]") + "rank 1 on ", r"srun: error: n0: task 1: Exited with exit code 5" + CLOSED),
                 kind="exits"),
    "killed": Row(kill(1), (KILLED, KILLED),
                  (TOLD.format("[02]") + "rank 1 on ", r"srun: error: n0: tasks? [\d,-]*: Killed" + CLOSED)),
    "rank 0 killed": Row(kill(0), (KILLED, KILLED),
                         (TOLD.format("[12]") + "rank 0 on ", r"srun: error: n0: tasks? [\d,-]*: Killed" + CLOSED)),
    "stopped": Row(stop, (INTERNAL, INTERNAL), (PLACE + r".*" + UNHEARD,) * 2),
    "stopped in set-up": Row(stop, (INTERNAL, INTERNAL),
                             (r"rank 0 on \S+: before the first iteration: nothing was heard of "
                              r"rank 1 on \S+ for 4 s",) * 2,
                             prepare=make_pipe, is_there=is_read, keeps_file=False),
    # 240 MB of parameters, so that there is time to strike.
    "stopped while saving": Row(stop, (INTERNAL, INTERNAL),
                                (r"rank 0 on \S+: after iteration \d+, saving a checkpoint: nothing was "
                                 r"heard of rank 1 on \S+ for 4 s",) * 2,
                                settings={"network.architecture": "alexnet", "train.batch_size": 1,
                                          "train.optimizer": "sgd", "train.checkpoint_every": 1},
                                is_there=lambda cell: any(cell.runs.glob("run.checkpoints/*.part"))),
    "stopped at MPI's end": Row(lambda cell: None, (1, KILLED),  # their own judgement
                                (r"rank [02] on \S+: not all ranks came to MPI's end within 4 s",) * 2,
                                status=("complete", "complete"), kind="stops at MPI's end",
                                settings={"train.iterations": 100, "sync.rendezvous_seconds": 4}),
    "stuck": Row(fail_inside, (INTERNAL, INTERNAL),
                 (r"rank 1 on \S+:? in iteration \d+, (forward|backward|update) of \w+: has not gone on for",) * 2,
                 kind="hangs", settings={"sync.timeout_seconds": 10}, limit=25),
    "link cut": Row(cut(1), (LOST_DAEMON, INTERNAL),
                    (TOLD.format("[01]") + "rank 2 on host1, rank 3 on host1 ",
                     r"nothing was heard of rank 2 on n1, rank 3 on n1 \(lost"),
                    limit=45, hosts=2, size=4, needs=network_hosts.missing),
    # The first node, where rank 0 is and as many ranks as speak for all. srun and the controller are on
    # it in the test's cluster.
    "first link cut": Row(cut(0), (LOST_DAEMON, None),
                          (TOLD.format("[4-7]") + ", ".join(f"rank {rank} on host0" for rank in range(4)), ""),
                          limit=45, hosts=2, size=8, mpirun_at=1, needs=network_hosts.missing),
    "disk full": Row(fill_disk, (DATA_LOST, DATA_LOST),
                     (r"rank 0 on \S+: cannot write .*No space left on device.*\n[\s\S]*rank 0 on \S+: .*is not whole \(records of",) * 2,
                     needs=why_no_small_disk, **COMPLETE),
    "folder deleted": Row(delete_folder, (DATA_LOST, DATA_LOST),
                          (r"rank 0 on \S+: cannot write .*No such file or directory.*\n[\s\S]*rank 0 on \S+: .*is not whole \(records of",) * 2,
                          keeps_file=False, **COMPLETE),
    "file locked": Row(lock, (0, 0), ("",) * 2, **COMPLETE),
    "suspended": Row(suspend, (0, 0), ("",) * 2, **COMPLETE),
}


# --- The launchers. Each has a column of the matrix.

# As slurm/README.md has it, in less time: mpirun notices a lost node before its ranks do.
KEEPALIVE = {f"OMPI_MCA_oob_tcp_keepalive_{name}": value
             for name, value in (("time", "1"), ("intvl", "1"), ("probes", "2"))}


class MpirunLauncher:
    column, name = 0, "mpirun"

    def __init__(self, program, mpirun, hosts=0):
        self.program, self.mpirun = program, mpirun
        self.hosts = network_hosts.NetworkHosts(hosts) if hosts else None

    def __enter__(self):
        if self.hosts:
            self.hosts.__enter__()
        return self

    def __exit__(self, *words):
        if self.hosts:
            self.hosts.__exit__(*words)

    def start(self, cell):
        words = self.hosts.mpirun(cell.size // 2, cell.row.mpirun_at) if self.hosts else self.mpirun
        passed_on = [word for name in cell.environment for word in ("-x", name)]
        self.log = cell.folder / "output"
        with open(self.log, "wb") as log:
            self.job = subprocess.Popen(
                [*words, *passed_on, "-n", str(cell.size), self.program, "train", *cell.settings],
                env={**os.environ, "OMPI_ALLOW_RUN_AS_ROOT": "1",
                     "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1", **KEEPALIVE, **cell.environment},
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def code(self):
        return self.job.poll()

    def output(self):
        return self.log.read_text(errors="replace")

    def end(self):
        if self.job.poll() is None:
            self.job.kill()
            self.job.wait()


class SrunLauncher:
    """`slurm/cpu_nodes.sbatch` on a test cluster of its own."""
    column, name = 1, "srun"

    def __init__(self, program, folder, hosts=0):
        self.program = program
        self.hosts = network_hosts.NetworkHosts(hosts) if hosts else None
        self.folder = pathlib.Path(str(folder).replace(" ", "-"))  # Slurm wants none

    def __enter__(self):
        if self.hosts:
            self.hosts.__enter__()
        self.cluster = slurm_cluster.SlurmCluster(self.folder, self.hosts)
        self.cluster.__enter__()
        return self

    def __exit__(self, *words):
        self.cluster.__exit__(*words)
        if self.hosts:
            self.hosts.__exit__(*words)

    def start(self, cell):
        nodes = 2 if self.hosts else 1
        self.job = self.cluster.submit(
            f"--nodes={nodes}", f"--ntasks-per-node={cell.size // nodes}", "--cpus-per-task=1",
            f"--output={cell.folder}/output", PROJECT / "slurm" / "cpu_nodes.sbatch",
            *cell.settings, LAYERLEDGER=self.program, **cell.environment)
        self.log = cell.folder / "output"

    def code(self):
        """Of the script; Slurm goes on asking a node that does not answer whether it has ended."""
        job = self.cluster.job(self.job)
        if job.get("JobState") in ("PENDING", "CONFIGURING", "RUNNING"):
            return None
        code, signal_number = (int(word) for word in job.get("ExitCode", "1:0").split(":"))
        return code or (128 + signal_number if signal_number else 0)

    def output(self):
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def end(self):
        self.cluster.run("scancel", self.job)


# --- A cell.

class Cell:
    def __init__(self, row, launcher, folder):
        self.row, self.launcher, self.folder = row, launcher, pathlib.Path(folder)
        self.size = row.size
        self.runs = self.folder / "runs"
        self.runs.mkdir(parents=True)
        self.run_file = self.runs / "run.h5"
        self.trigger = self.folder / "fail now"
        self.held = []  # open files
        self.environment = {"FAULT_FILE": str(self.trigger), "OMP_NUM_THREADS": "1"}
        if row.kind:
            self.environment.update(LD_PRELOAD=os.environ["FAILING_PRIMITIVE"], FAULT_RANK="1",
                                    FAULT_KIND=row.kind)
        settings = {"network.architecture": "lenet5", "train.batch_size": 8,
                    "output.directory": self.runs, "output.file": "run.h5",
                    "output.commit_seconds": 0.1, "output.progress": "none", "device.threads": 1,
                    "sync.timeout_seconds": 8 if row.hosts else DEADLINE,
                    **ENDLESS, **row.settings, **row.prepare(self)}
        self.settings = [f"--{key}={value}" for key, value in settings.items()]

    def ranks(self):
        """Process id by rank, of those that live."""
        mark = f"FAULT_FILE={self.trigger}".encode()
        found = {}
        for process in pathlib.Path("/proc").glob("[0-9]*"):
            try:
                if (process / "comm").read_text().strip() != "layerledger":
                    continue
                variables = (process / "environ").read_bytes().split(b"\0")
            except OSError:
                continue
            rank = [word[10:] for word in variables if word.startswith(b"PMIX_RANK=")]
            if mark in variables and rank:
                found[int(rank[0])] = int(process.name)
        return found

    def committed(self):
        try:
            with h5py.File(self.run_file) as run:
                return int(run.attrs["committed_iterations"])
        except OSError:  # not there yet, or being written
            return 0

    def require(self, condition, what):
        if not condition:
            raise Broken(f"{what}\n{self.launcher.output()}")

    def wait_until(self, condition, seconds, what):
        deadline = time.monotonic() + seconds
        while not condition():
            self.require(time.monotonic() < deadline, what)
            time.sleep(0.05)

    def check_file(self, status, committed):
        with h5py.File(self.run_file) as run:
            rows = int(run.attrs["committed_iterations"])
            self.require(run.attrs["status"] == status, f"the status is {run.attrs['status']}")
            self.require(rows >= committed, f"{rows} iterations are left of {committed}")
            self.require(np.array_equal(run["iteration"][:rows], np.arange(rows)), "rows are missing")
            self.require(np.isfinite(run["iteration_time"][:rows]).all()
                         and np.isfinite(run["loss"][:rows]).all(), "a row is not whole")
            lost = int(run.attrs["dropped_iterations"])
        checked = subprocess.run([self.launcher.program, "check", self.run_file],
                                 capture_output=True, text=True, timeout=60, check=False)
        # Lost records are the only fault that a file may be left with, and it has to say so.
        faults = f"the records of {lost} iterations could not be written and are lost\n" if lost else ""
        self.require(checked.returncode == (BAD_DATA if lost else 0)
                     and checked.stdout.endswith(faults) and (not lost or checked.stdout.count("\n") == 1),
                     checked.stdout)
        self.require(("cut off" in checked.stdout) == (status == "running"), checked.stdout)


def run_cell(row, launcher, folder):
    """Seconds from the fault to the job's end, and its code."""
    cell = Cell(row, launcher, folder)
    small_disk = row.strike is fill_disk
    if small_disk:
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1500k", "none", cell.runs], check=True)
    try:
        launcher.start(cell)
        cell.wait_until(lambda: row.is_there(cell) or launcher.code() is not None, 90,
                        "training did not begin")
        cell.wait_until(lambda: len(cell.ranks()) == cell.size, 5, "not all ranks are there")
        committed = cell.committed()
        row.strike(cell)
        struck = time.monotonic()
        cell.wait_until(lambda: launcher.code() is not None, row.limit,
                        f"still there after {row.limit} s")
        seconds = time.monotonic() - struck
        code = launcher.code()
        cell.require(code == row.codes[launcher.column], f"the code is {code}")
        pattern = row.says[launcher.column]
        # What a job says may reach the file a moment after its end.
        cell.wait_until(lambda: re.search(pattern, launcher.output()), 5, f"it does not say {pattern}")
        cell.wait_until(lambda: not cell.ranks(), 60, "ranks are left")
        if row.keeps_file:
            cell.check_file(row.status[launcher.column], committed)
        return seconds, code
    finally:
        launcher.end()
        for pid in cell.ranks().values():
            os.kill(pid, signal.SIGKILL)
        for file in cell.held:
            file.close()
        if small_disk:
            subprocess.run(["umount", "--lazy", cell.runs], check=False)
