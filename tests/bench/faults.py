#!/usr/bin/env python3
"""Every fault of the matrix under both launchers, again and again.

    /usr/bin/python3 tests/bench/faults.py --build build --times 10

Prints for each cell how often it ended as it must, the seconds from the fault to the job's end, and the
codes. What did not is said in full. `--rows killed,stopped` and `--launchers mpirun` take a part.
"""

import argparse
import os
import pathlib
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))

import fault_matrix
import slurm_cluster


def repeat(name, make, times, folder):
    """Prints a line; true where every time was as it must be."""
    row = fault_matrix.ROWS[name]
    ended, problems = [], []
    for i in range(times):
        try:
            place = folder / f"{make.__name__} {name} {i}"
            with make(place / "launcher", row.hosts) as launcher:
                ended.append(fault_matrix.run_cell(row, launcher, place / "cell"))
        except Exception as problem:  # a file that does not open, a rank that is not there: a fault too
            problems.append(f"{type(problem).__name__}: {problem}")
    hangs = sum("still there" in problem for problem in problems)
    seconds = sorted(second for second, _ in ended) or [float("nan")]
    codes = ", ".join(sorted({str(code) for _, code in ended}))
    print(f"{name:22}{make.__name__:8}{len(ended):4} of {times:3}{seconds[len(seconds) // 2]:8.1f} s"
          f"{seconds[-1]:8.1f} s  {codes:8}{hangs:6}", flush=True)
    for problem in problems:
        print(f"    {problem}", file=sys.stderr, flush=True)
    return not problems


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--build", default="build")
    arguments.add_argument("--times", type=int, default=10)
    arguments.add_argument("--rows", default=",".join(fault_matrix.ROWS))
    arguments.add_argument("--launchers", default="mpirun,srun")
    chosen = arguments.parse_args()
    build = pathlib.Path(chosen.build).resolve()
    program = str(build / "src" / "app" / "layerledger")
    os.environ["FAILING_PRIMITIVE"] = str(build / "tests" / "support" / "libfailing_primitive.so")

    def mpirun(_, hosts):
        return fault_matrix.MpirunLauncher(
            program, ["mpirun", "--oversubscribe", "--bind-to", "none"], hosts)

    def srun(folder, hosts):
        return fault_matrix.SrunLauncher(program, folder, hosts)

    makers = {"mpirun": mpirun, "srun": srun}
    columns = {"mpirun": fault_matrix.MpirunLauncher, "srun": fault_matrix.SrunLauncher}
    print(f"{'fault':22}{'under':8}{'as it must':>11}{'median':>10}{'worst':>10}  {'code':8}{'hangs':>6}")
    all_well = True
    with tempfile.TemporaryDirectory(prefix="layerledger-faults-") as folder:
        for name in chosen.rows.split(","):
            for launcher in chosen.launchers.split(","):
                lacking = slurm_cluster.missing() if launcher == "srun" else []
                if reason := fault_matrix.ROWS[name].missing(columns[launcher]) or ", ".join(lacking):
                    print(f"{name:22}{launcher:8} skipped: {reason}", flush=True)
                    continue
                all_well &= repeat(name, makers[launcher], chosen.times, pathlib.Path(folder))
    return 0 if all_well else 1


if __name__ == "__main__":
    sys.exit(main())
