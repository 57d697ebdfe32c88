#!/usr/bin/env python3
"""What cannot be trained, or breaks off, on a machine with a GPU: each ends in time, with its exit code
and a message that names what is wrong, and leaves the run file that it should.

Usage: bad_input.py PREFIX FOLDER cuda|cpu

Runs the program of the install tree PREFIX in FOLDER, whose bad_input.json says how each case ended.
Needs nothing but Python. All cases run at the same time; on CPUs those that need no GPU.
Exit code: 0, or 1 where a case did not end as it must.
"""

import concurrent.futures
import csv
import dataclasses
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import time

BAD_SETTING, UNAVAILABLE, INTERNAL = 78, 69, 70
KILLED = 128 + signal.SIGKILL
TIMEOUT = 5  # seconds that ranks wait for each other
BEGIN_LIMIT = 30  # seconds until a training has committed something
PLACE = r"in iteration \d+, (forward|backward|update|waiting|between)"


@dataclasses.dataclass
class Case:
    code: int
    says: str  # what must be found in the output
    ranks: int = 1
    settings: dict = dataclasses.field(default_factory=dict)
    environment: dict = dataclasses.field(default_factory=dict)
    fault: str = ""  # of the library that is preloaded before cuDNN
    strike: object = None  # what is done to a training that goes on
    limit: float = 15  # seconds from the strike, or from the start where there is none, to the end
    leaves: str = ""  # status of the run file; empty: there must be none


def send(number):
    return lambda run: os.kill(run.ranks()[1], number)


def first_gpu():
    return os.environ.get("CUDA_VISIBLE_DEVICES", "0").split(",")[0] or "0"


HIDDEN = {"CUDA_VISIBLE_DEVICES": ""}
SHARED = {"device.allow_shared_gpu": "true"}
ENDLESS = {"train.iterations": 10**8}

ON_CPUS = {
    "precision the device lacks": Case(
        UNAVAILABLE, r"precision tf32 is not supported by .* use train\.precision=fp32",
        settings={"train.precision": "tf32"}),
    "no GPU to be seen": Case(
        UNAVAILABLE, r"device\.backend=cuda is not available \(.+\) use device\.backend=cpu", ranks=2,
        settings={"device.backend": "cuda"}, environment=HIDDEN),
    "no GPU to be seen, automatic choice": Case(
        0, r"device\.backend=auto chose cpu \(.+\)", ranks=2, settings={"device.backend": "auto"},
        environment=HIDDEN, leaves="complete"),
}
ON_EITHER = {
    "batch too large": Case(
        BAD_SETTING, r"train\.batch_size \(command line\) is 100000, which needs about [\d.]+ TiB per "
                     r"rank \([\d.]+ GiB of the .+ are there\) the largest batch that fits is [1-9]",
        settings={"network.architecture": "resnet50", "train.batch_size": 100_000}),
    "a rank is killed": Case(
        KILLED, r"rank 0 on \S+: in iteration \d+, .*told to end", ranks=2,
        settings=SHARED | ENDLESS, strike=send(signal.SIGKILL), leaves="failed"),
    "a rank is stopped": Case(
        INTERNAL, PLACE + r".*nothing was heard of rank 1 on \S+ \(lost, stopped or cut off", ranks=2,
        settings=SHARED | ENDLESS, strike=send(signal.SIGSTOP), limit=TIMEOUT + 12,
        leaves="failed"),
}
ON_GPUS = {
    "ranks on one GPU": Case(
        UNAVAILABLE, r"ranks 0 and 1 would share .+ has 2 ranks and 1 GPU ", ranks=2,
        environment={"CUDA_VISIBLE_DEVICES": first_gpu()}),
    "libraries that differ": Case(
        UNAVAILABLE, r"rank 0 on \S+ has cuDNN [\d.]+; rank 1 on \S+ has cuDNN [\d.]+\)", ranks=2,
        settings=SHARED, fault="version"),
    "no engine for a layer": Case(
        UNAVAILABLE, r"conv1/conv: cuDNN has no engine for a convolution 8x\d+x28x28 to "
                     r"8x\d+x28x28, kernel 5x5, .*, forward, in fp32", fault="engine"),
    "a kernel that fails": Case(
        INTERNAL, r"rank 1 on \S+: " + PLACE + r".*CUDA error \d+: cudaError\w+, .*a kernel failed",
        ranks=2,
        settings=SHARED | ENDLESS, fault="fault", strike=lambda run: run.trigger.touch(),
        limit=TIMEOUT + 12, leaves="failed"),
}


class Broken(Exception):
    """The case did not end as it must."""


class Run:
    def __init__(self, prefix, folder, device, case):
        self.prefix, self.case = prefix, case
        folder.mkdir(parents=True)
        self.trigger = folder / "fail now"
        self.run_file = folder / "run.h5"
        self.log = folder / "log"
        settings = {"network.architecture": "lenet5", "train.batch_size": 8, "train.iterations": 6,
                    "output.directory": folder, "output.file": "run.h5",
                    "output.commit_seconds": 0.2, "output.progress": "none", "device.threads": 1,
                    "profile.warmup": 2, "sync.timeout_seconds": TIMEOUT, "device.backend": device,
                    **case.settings}
        if case.fault:
            shim = prefix / "libexec" / "layerledger" / "failing_cudnn.so"
            case.environment.update(LD_PRELOAD=str(shim), FAULT_KIND=case.fault,
                                    FAULT_RANK=str(case.ranks - 1))
        passed_on = [word for name in case.environment for word in ("-x", name)]
        self.begun = time.monotonic()
        with open(self.log, "wb") as log:
            self.job = subprocess.Popen(
                [prefix / "bin" / "mpirun", "--oversubscribe", "--bind-to", "none", *passed_on, "-x",
                 "FAULT_FILE", "-n", str(case.ranks), prefix / "bin" / "layerledger", "train",
                 *(f"--{key}={value}" for key, value in settings.items())],
                env={**os.environ, "XDG_CACHE_HOME": str(folder), **case.environment,
                     "FAULT_FILE": str(self.trigger)},
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def output(self):
        return self.log.read_text(errors="replace")

    def ranks(self):
        """Process id by rank, of those that live."""
        mark, found = f"FAULT_FILE={self.trigger}".encode(), {}
        for process in pathlib.Path("/proc").glob("[0-9]*"):
            try:
                name = (process / "comm").read_text().strip()
                variables = (process / "environ").read_bytes().split(b"\0")
            except OSError:
                continue
            rank = [word[10:] for word in variables if word.startswith(b"PMIX_RANK=")]
            if name == "layerledger" and mark in variables and rank:
                found[int(rank[0])] = int(process.name)
        return found

    def layerledger(self, *words):
        return subprocess.run([self.prefix / "bin" / "layerledger", *words], capture_output=True,
                              text=True, timeout=30, check=False)

    def has_committed(self):
        checked = self.layerledger("check", self.run_file)
        return re.search(r"ok, [1-9]\d* iterations", checked.stdout) is not None

    def wait_until(self, condition, seconds, what):
        until = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > until:
                raise Broken(what)
            time.sleep(0.1)

    def check(self):
        case = self.case
        if case.strike:
            self.wait_until(lambda: self.has_committed() or self.job.poll() is not None, BEGIN_LIMIT,
                            "training did not begin")
            if self.job.poll() is not None:
                raise Broken("training ended by itself")
            self.begun = time.monotonic()
            case.strike(self)
        self.wait_until(lambda: self.job.poll() is not None, case.limit,
                        f"still there after {case.limit} s")
        seconds = time.monotonic() - self.begun
        if self.job.poll() != case.code:
            raise Broken(f"exit code {self.job.poll()} instead of {case.code}")
        found = re.search(case.says, self.output())
        if not found:
            raise Broken(f"it does not say '{case.says}'")
        self.wait_until(lambda: not self.ranks(), 10, "ranks are left")
        if self.status() != case.leaves:
            raise Broken(f"the run file's status is '{self.status()}' instead of '{case.leaves}'")
        line = next(line for line in self.output().splitlines() if re.search(case.says, line))
        return seconds, line

    def status(self):
        if not self.run_file.exists():
            return ""
        tables = self.log.parent / "tables"
        self.layerledger("export", self.run_file, "--csv", tables)
        with open(tables / "experiment.csv", newline="", encoding="utf-8") as table:
            return next(csv.DictReader(table))["status"]

    def end(self):
        for pid in self.ranks().values():
            os.kill(pid, signal.SIGKILL)
        if self.job.poll() is None:
            self.job.kill()
            self.job.wait()


def run_case(name, case, prefix, folder, device):
    """How it ended, as a row of bad_input.json."""
    run = Run(prefix, folder / name.replace(" ", "-").replace(",", ""), device, case)
    row = {"case": name, "code": case.code, "fault": ""}
    try:
        row["seconds"], row["said"] = run.check()
    except (Broken, OSError, KeyError, StopIteration, subprocess.SubprocessError) as problem:
        row["fault"] = str(problem) or type(problem).__name__
        row["output"] = run.output()[-3000:]
    finally:
        run.end()
    return row


def main():
    prefix, folder, device = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), sys.argv[3]
    cases = ON_CPUS | ON_EITHER | (ON_GPUS if device == "cuda" else {})
    if device == "cuda":
        del cases["precision the device lacks"]  # this one has them all
    # On CPUs a training takes the processors that the others' deadlines run on.
    with concurrent.futures.ThreadPoolExecutor(len(cases) if device == "cuda" else 2) as pool:
        rows = list(pool.map(lambda item: run_case(*item, prefix, folder, device), cases.items()))
    (folder / "bad_input.json").write_text(json.dumps(rows, indent=1))
    for row in rows:
        verdict = row["fault"] and f"WRONG: {row['fault']}\n{row['output']}"
        print(f"{row['case']}: " + (verdict or f"{row['code']} after {row['seconds']:.1f} s\n  {row['said']}"))
    return 1 if any(row["fault"] for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
