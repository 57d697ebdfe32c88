#!/usr/bin/env python3
"""Makes the tables of tests/gpu/run from what its parts left: summary.json, RESULTS.md, and stdout.

Usage: tables.py OUT PREFIX HAS_GPU

Needs nothing but Python. Exit code: 0, or 1 where a check failed or a part was cut off.
"""

import csv
import datetime
import json
import math
import pathlib
import re
import statistics
import subprocess
import sys
import xml.etree.ElementTree

# Images a second that a GPU cannot exceed: the larger time of FLOPs (at 798 TFLOP/s in bf16, 400 in
# tf32) and the activations' bytes (H100: 3.0 TB/s, H200: 4.3), every operation reading and writing
# its own.
FLOORS = {
    "H100": {
        "bf16": {"alexnet": 135e3, "vgg11": 12.7e3, "googlenet": 20.7e3, "googlenet-bn": 17.9e3,
                 "resnet50": 6.3e3},
        "tf32": {"alexnet": 79e3, "vgg11": 6.5e3, "googlenet": 10.4e3, "googlenet-bn": 9.0e3,
                 "resnet50": 3.1e3},
    },
    "H200": {
        "bf16": {"alexnet": 193e3, "vgg11": 17.5e3, "googlenet": 30e3, "googlenet-bn": 26e3,
                 "resnet50": 9.0e3},
        "tf32": {"alexnet": 97e3, "vgg11": 8.8e3, "googlenet": 14.9e3, "googlenet-bn": 12.9e3,
                 "resnet50": 4.4e3},
    },
}
PRECISIONS = ("bf16", "tf32")
LOSS_ITERATIONS = 20  # fewer only try the script
BATCH = {"alexnet": 128, "vgg11": 64, "googlenet": 128, "googlenet-bn": 128, "resnet50": 256}


def rows_of(path):
    try:
        with open(path, newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file))
    except OSError:
        return []


class Run:
    """One run of layerledger: its tables."""

    def __init__(self, folder):
        self.failed = (folder / "failed").exists()
        self.log = (folder / "log").read_text(errors="replace") if (folder / "log").exists() else ""
        tables = {kind: next(iter(sorted(folder.glob(f"*{kind}.csv"))), None)
                  for kind in ("iterations", "experiment", "layers")}
        self.iterations = rows_of(tables["iterations"]) if tables["iterations"] else []
        experiment = rows_of(tables["experiment"]) if tables["experiment"] else []
        self.experiment = experiment[0] if experiment else {}
        self.measured = [row for row in self.iterations if row["warmup"] == "0"]

    def images_per_s(self):
        value = self.experiment.get("images_per_s")
        return float(value) if value else None

    def unaccounted(self):
        """Median and worst, in percent of the iteration; of profiled iterations."""
        shares = [100 * float(row["unaccounted_ms"]) / float(row["time_ms"])
                  for row in self.measured if row["unaccounted_ms"]]
        return (statistics.median(shares), max(shares)) if shares else None

    def overhead(self):
        """Percent, low, high of the 95 % interval."""
        found = re.search(r"(-?[\d.]+) % of the iteration \(95 % interval (-?[\d.]+) to (-?[\d.]+)",
                          self.log)
        return tuple(map(float, found.groups())) if found else None

    def mark_error(self):
        """Percent: the layer above 0.1 ms whose time is furthest from CUPTI's."""
        found = re.search(r"within ([\d.]+) % of CUPTI's times", self.log)
        return float(found.group(1)) if found else None

    def hidden_all_reduce_ms(self):
        found = re.search(r"hidden all-reduce\s+([\d.]+) ms", self.log)
        return float(found.group(1)) if found else None

    def losses(self):
        return [float(row["loss"]) for row in self.iterations if row["rank"] == "0" and row["loss"]]

    def top1(self):
        found = re.search(r"validation.*?top-1\s+([\d.]+)\s*%", self.log, re.DOTALL)
        return float(found.group(1)) if found else None


def run(out, name):
    folder = out / "runs" / name
    return Run(folder) if folder.exists() else None


def tests_of(path):
    """[(name, passed, seconds)] of a GoogleTest report."""
    try:
        root = xml.etree.ElementTree.parse(path).getroot()
    except (OSError, xml.etree.ElementTree.ParseError):
        return []
    return [(f"{case.get('classname')}.{case.get('name')}",
             "skipped" if case.get("status") == "notrun" or case.find("skipped") is not None
             else "failed" if case.find("failure") is not None else "passed",
             float(case.get("time", 0)))
            for case in root.iter("testcase")]


def peers(out):
    """PyTorch's figures by case."""
    try:
        lines = (out / "peers.json").read_text(encoding="utf-8").splitlines()
    except OSError:
        return {}
    return {one["case"]: one for one in map(json.loads, lines)}


def shown(value, decimals=0):
    return "-" if value is None or math.isnan(value) else f"{value:.{decimals}f}"


def shown_e(value):
    return "-" if value is None else f"{value:.2e}"


def speed(out, device):
    rows = []
    others = peers(out)

    def rate_of(case):
        return others.get(case, {}).get("images_per_s")

    known = next((floors for gpu, floors in FLOORS.items() if gpu in device), {})
    for precision in PRECISIONS:
        for network, batch in BATCH.items():
            mine = run(out, f"speed-{network}-{precision}")
            case = f"{network}:{batch}:{precision}"
            rate, eager = mine and mine.images_per_s(), rate_of(case)
            if rate is None and eager is None:
                continue
            rows.append({
                "network": network, "batch": batch, "precision": precision, "layerledger": rate,
                "parameters": mine and int(mine.experiment.get("network.parameters") or 0),
                "torch_parameters": others.get(case, {}).get("parameters"),
                "torch_eager": eager, "torch_compiled": rate_of(f"{case}:compile"),
                "ratio": rate / eager if rate and eager else None,
                "floor": known.get(precision, {}).get(network)})
    return rows


def accounts(out):
    rows = []
    for folder in sorted((out / "runs").glob("account-*")):
        one = Run(folder)
        rows.append({"name": folder.name.removeprefix("account-"), "unaccounted": one.unaccounted(),
                     "overhead": one.overhead(), "images_per_s": one.images_per_s()})
    return rows


def mark_errors(out):
    return {folder.name.removeprefix("kernels-"): Run(folder).mark_error()
            for folder in sorted((out / "runs").glob("kernels-*"))}


def compared_losses(out):
    """By AlexNet's layout: the largest relative difference from the CPU's, of the GPU and of the CPU again."""
    found = {}
    for layout in ("none", "lrn"):
        cpu = run(out, f"losses-{layout}-cpu")
        for other in ("cuda", "cpu-again"):
            one = run(out, f"losses-{layout}-{other}")
            if cpu and cpu.losses() and one and one.losses():
                pairs = list(zip(cpu.losses(), one.losses()))
                entry = found.setdefault(layout, {"iterations": len(pairs), "left": 0})
                entry[other] = max(abs(a - b) / abs(a) for a, b in pairs)
                # Losses that stay where they are would agree whatever was computed.
                entry["left"] = max(entry["left"], *(kind[-1] / kind[0] for kind in zip(*pairs)))
    return {layout: one for layout, one in found.items() if "cuda" in one}


def compared_ranks(out):
    nccl, mpi = run(out, "ranks-nccl"), run(out, "ranks-mpi")
    if not nccl or not mpi or not nccl.losses():
        return None
    pairs = list(zip(nccl.losses(), mpi.losses()))
    overlapped = run(out, "ranks-overlap")
    return {"iterations": len(pairs), "worst": max(abs(a - b) / abs(b) for a, b in pairs),
            "hidden_ms": overlapped and overlapped.hidden_all_reduce_ms()}


def goals(summary):
    """Of what has been measured. One of correctness that is missed fails the whole."""
    found = []

    def goal(is_correctness, what, met):
        found.append({"correctness": is_correctness, "what": what, "met": bool(met)})

    for layout, losses in summary["losses"].items():
        goal(True, f"losses of AlexNet ({layout}) on the GPU within 1e-3 of the CPU's",
             losses["cuda"] < 1e-3)
        if losses["iterations"] >= LOSS_ITERATIONS:
            goal(True, f"losses of AlexNet ({layout}) fall by a quarter at least, on the GPU and on the CPU",
                 losses["left"] <= 0.75)
    digits = {name: top1 for name, top1 in summary["digits"].items() if top1 is not None}
    for name in digits.keys() - {"cpu"}:
        goal(True, f"digits: {name} at most 2 points of top-1 below the CPU",
             digits[name] >= digits.get("cpu", 100) - 2)
    if summary["ranks"]:
        goal(True, "two ranks through NCCL: losses within 1e-4 of MPI's",
             summary["ranks"]["worst"] < 1e-4)
    for row in summary["speed"]:
        if row["ratio"] is not None:
            goal(True, f"{row['network']}: PyTorch's has as many parameters",
                 row["parameters"] == row["torch_parameters"])
            goal(False, f"{row['network']} {row['precision']} at least as fast as eager PyTorch",
                 row["ratio"] >= 1)
    for name, percent in summary["marks"].items():
        if percent is not None:
            goal(False, f"{name}: layers' times within 1 % of CUPTI's above 0.1 ms", percent <= 1)
    for row in summary["account"]:
        at_batch_1 = row["name"].endswith("-1")
        if row["unaccounted"]:
            goal(False, f"{row['name']}: unaccounted at most 0.5 % in the median, 1 % at worst",
                 row["unaccounted"][0] <= 0.5 and row["unaccounted"][1] <= 1)
        if row["overhead"]:
            percent, _, high = row["overhead"]
            goal(False, f"{row['name']}: overhead at most " + ("5 %" if at_batch_1 else
                 "0.5 %, upper end 1 %"),
                 percent <= 5 if at_batch_1 else percent <= 0.5 and high <= 1)
    return found


def command_text(*command):
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=20,
                              check=False).stdout.strip()
    except OSError:
        return ""


def bad_inputs(out):
    """Cases of bad_input.py: name, exit code, and what was wrong with its end or empty."""
    try:
        return json.loads((out / "bad_input.json").read_text(encoding="utf-8"))
    except OSError:
        return []


def main():
    out, prefix, has_gpu = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), sys.argv[3] == "1"
    verdicts = {}
    for path in sorted(out.glob("*.verdict")):
        part, verdict, seconds = path.read_text().rstrip("\n").split("\t")
        verdicts[part] = {"verdict": verdict, "seconds": int(seconds)}
    device = rows_of(out / "device.csv")
    device_name = device[0].get("name", "") if device else ""
    summary = {
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "device": device[0] if device else None, "parts": verdicts,
        "versions": command_text(str(prefix / "bin" / "layerledger"), "version"),
        "conformance": tests_of(out / "conformance.xml"), "golden": tests_of(out / "golden.xml"),
        "speed": speed(out, device_name), "peers": peers(out), "account": accounts(out),
        "marks": mark_errors(out), "losses": compared_losses(out),
        "ranks": compared_ranks(out), "bad_input": bad_inputs(out),
        "digits": {folder.name.removeprefix("digits-"): Run(folder).top1()
                   for folder in sorted((out / "runs").glob("digits-*"))},
    }
    lines = ["", "| part | verdict | seconds |", "|---|---|---|"]
    lines += [f"| {part} | {one['verdict']} | {one['seconds']} |" for part, one in verdicts.items()]
    left_out = [part for part, one in verdicts.items() if one["verdict"].startswith("left out")]
    if left_out:
        lines += ["", f"{len(left_out)} parts were left out for want of time: {', '.join(left_out)}"]
    for kind in ("conformance", "golden"):
        tests = summary[kind]
        if tests:
            failed = [name for name, verdict, _ in tests if verdict == "failed"]
            skipped = sum(verdict == "skipped" for _, verdict, _ in tests)
            on_gpu = sum("cuda" in name and verdict != "skipped" for name, verdict, _ in tests)
            lines += ["", f"{kind}: {len(tests) - skipped} tests, {on_gpu} of them on the GPU, "
                          f"{len(failed)} failed; {skipped} skipped"
                          + "".join(f"\n  {name}" for name in failed[:40])]
    if summary["bad_input"]:
        wrong = [f"{one['case']}: {one['fault']}" for one in summary["bad_input"] if one["fault"]]
        lines += ["", f"bad input: {len(summary['bad_input'])} cases, {len(wrong)} ended otherwise than they "
                      "must" + "".join(f"\n  {line}" for line in wrong)]
    for layout, losses in summary["losses"].items():
        lines += ["", f"AlexNet ({layout}) fp32, losses of {losses['iterations']} iterations: GPU and CPU at most "
                      f"{losses['cuda']:.2e} apart (relative), CPU and CPU with other sums "
                      f"{shown_e(losses.get('cpu-again'))}; the last is {losses['left']:.2f} of the first at most"]
    if summary["digits"]:
        lines += ["", "LeNet-5 on the digits, validation top-1: " + ", ".join(
            f"{name} {shown(top1, 2)} %" for name, top1 in summary["digits"].items())]
    if summary["ranks"]:
        lines += ["", f"two ranks on one GPU, NCCL against MPI, losses of "
                      f"{summary['ranks']['iterations']} iterations: at most "
                      f"{summary['ranks']['worst']:.2e} apart (relative); of AlexNet's all-reduce "
                      f"{shown(summary['ranks']['hidden_ms'], 3)} ms lie under its layers"]
    if summary["speed"]:
        lines += ["", "| images/s | batch | precision | layerledger, profiling on | PyTorch eager | "
                      "compiled | ratio to eager | floor |", "|---|---|---|---|---|---|---|---|"]
        lines += [f"| {row['network']} | {row['batch']} | {row['precision']} | "
                  f"{shown(row['layerledger'])} | {shown(row['torch_eager'])} | "
                  f"{shown(row['torch_compiled'])} | {shown(row['ratio'], 2)} | {shown(row['floor'])} |"
                  for row in summary["speed"]]
    if summary["account"]:
        lines += ["", "| account | unaccounted median % | worst % | overhead % | 95 % interval |",
                  "|---|---|---|---|---|"]
        for row in summary["account"]:
            median, worst = row["unaccounted"] or (None, None)
            overhead = row["overhead"]
            lines.append(f"| {row['name']} | {shown(median, 4)} | {shown(worst, 4)} | "
                         + (f"{overhead[0]:.2f} | {overhead[1]:.2f} to {overhead[2]:.2f} |"
                            if overhead else "- | - |"))
    if summary["marks"]:
        lines += ["", "layers' times against CUPTI's, worst layer above 0.1 ms: " + ", ".join(
            f"{name} {shown(percent, 2)} %" for name, percent in summary["marks"].items())]
    summary["goals"] = goals(summary) if has_gpu else []
    missed = [one["what"] for one in summary["goals"] if not one["met"]]
    if summary["goals"]:
        lines += ["", f"goals met: all but {len(missed)} of {len(summary['goals'])}"]
        lines += [f"  missed: {what}" for what in missed]
    if not has_gpu:
        lines += ["", "no GPU here: owed are conformance on the GPU, losses and digits against the "
                      "CPU, two ranks through NCCL, speed, account, layers' times against CUPTI's, "
                      "compute-sanitizer"]
    text = "\n".join(lines)
    (out / "summary.json").write_text(json.dumps(summary, indent=1))
    head = f"{summary['date'][:10]}, " + (device[0].get("name", "GPU") if device else "no GPU")
    (out / "RESULTS.md").write_text(f"## {head}\n\n```\n{summary['versions']}\n```\n{text}\n")
    print(text)
    bad = [part for part, one in verdicts.items() if one["verdict"] not in ("passed", "skipped")]
    wrong = [one for one in summary["goals"] if one["correctness"] and not one["met"]]
    return 1 if bad or wrong else 0


if __name__ == "__main__":
    sys.exit(main())
