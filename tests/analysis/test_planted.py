"""Mistakes planted in the file of a real run: the commands show or refuse each by its name."""

import json
import pathlib
import re
import shutil
import subprocess
import sys

import h5py
import numpy as np
import pandas as pd
import pytest

HERE = pathlib.Path(__file__).parent
KEPT = HERE / "fixtures" / "run-1.2.0.h5"
NEWEST = HERE / "fixtures" / "run-1.4.0.h5"


def command(*words):
    return subprocess.run([sys.executable, "-B", "-m", "layerledger", *map(str, words)],
                          cwd=HERE.parents[1] / "analysis", capture_output=True, text=True,
                          timeout=300, check=False)


def planted(tmp_path, change, kept=KEPT):
    path = pathlib.Path(shutil.copy(kept, tmp_path / "planted.h5"))
    with h5py.File(path, "r+") as file:
        change(file)
    return path


def add(file, name, where, value):
    data = file[name][()]
    data[where] += value
    file[name][...] = data


def findings(tmp_path, run):
    done = command("report", run, "-o", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "out" / f"{run.stem}.html").read_text(encoding="utf-8")
    data = re.search(r'<script id="data" type="application/json">(.*?)</script>', page, re.DOTALL)
    return {each["title"]: each for each in json.loads(data[1])["findings"]}


def test_a_gap_of_a_millisecond_is_a_problem_by_its_iteration_and_rank(tmp_path):
    def gap(file):
        row = int(file.attrs["committed_iterations"]) - 2
        add(file, "iteration_time", (row, 1), 1000)
        add(file, "unaccounted", (row, 1), 1000)

    assert not [title for title in findings(tmp_path, KEPT) if title.startswith("Gap")]
    found = findings(tmp_path, planted(tmp_path, gap))
    assert found["Gap in iteration 8 on rank 1"]["severity"] == "problem"
    assert "1.00\u00a0ms that no layer" in found["Gap in iteration 8 on rank 1"]["text"]


def test_a_layer_ten_percent_slower_on_one_rank_stands_in_the_tables(tmp_path):
    """Whether so few iterations of it are more than chance is for test_findings."""
    def slow(file):
        layer = list(file["layer"].asstr()).index("conv2")
        more = 0.1 * file["layer_time"][:, 1, layer]
        add(file, "layer_time", (slice(None), 1, layer), more)
        add(file, "iteration_time", (slice(None), 1), np.nansum(more, axis=1))

    def above(run):
        findings(tmp_path, run)
        table = pd.read_csv(tmp_path / "out" / f"{run.stem}-csv" / "layers-by-rank.csv")
        rows = table.set_index(["rank", "layer"])["above_other_ranks_percent"]
        return rows.loc[1, "conv2"], rows.loc[1, "conv1"]

    (before, other), (after, same) = above(KEPT), above(planted(tmp_path, slow))
    assert (1 + after / 100) / (1 + before / 100) == pytest.approx(1.1, rel=1e-5)
    assert same == other


def unscaled(file):
    scale = file["bucket_end"].dims[1][0]
    file["bucket_end"].dims[1].detach_scale(scale)


REFUSED = {
    "un-scaled": (unscaled, "un-scaled array: bucket_end has no dimension scale on axis 1"),
    "unit": (lambda file: file["layer_time"].attrs.modify("units", "ms"),
             "layer_time has the units 'ms' instead of 'us'"),
    "major": (lambda file: file.attrs.modify("schema_version", "2.0.0"), "has schema 2.0.0"),
    "warm-up": (lambda file: file["warmup"].write_direct(np.ones(file["warmup"].shape, "u1")),
                "no iterations after warm-up"),
    "short": (lambda file: file.attrs.modify("committed_iterations", np.int64(99)),
              "cut short: 99 iterations are committed, 10 are there"),
}


@pytest.mark.parametrize("mistake", REFUSED)
def test_what_contradicts_itself_is_refused_by_name(tmp_path, mistake):
    change, says = REFUSED[mistake]
    run = planted(tmp_path, change)
    for words in (["report", run], ["figures", run], ["compare", KEPT, run]):
        done = command(*words, *([] if words[0] == "compare" else ["-o", tmp_path / "out"]))
        assert done.returncode == 65
        lines = done.stderr.strip().splitlines()
        assert len(lines) == 1 and "planted.h5" in lines[0] and says in lines[0], words
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_cut_file_is_refused(tmp_path, share):
    run = pathlib.Path(shutil.copy(KEPT, tmp_path / "planted.h5"))
    with run.open("r+b") as file:
        file.truncate(int(share * run.stat().st_size))
    done = command("report", run, "-o", tmp_path / "out")
    assert done.returncode == 65 and "planted.h5: cut short" in done.stderr


@pytest.mark.parametrize(("status", "says"), [("failed", "the run failed"),
                                              ("running", "has not ended, or was killed"),
                                              ("interrupted", "was interrupted")])
def test_a_run_that_did_not_end_well_is_read_with_a_warning(tmp_path, status, says):
    run = planted(tmp_path, lambda file: file.attrs.modify("status", status))
    done = command("report", run, "-o", tmp_path / "out")
    assert done.returncode == 0
    assert f"warning: {run}: the run" in done.stderr and says in done.stderr
    assert "10 committed iterations are read" in done.stderr


def test_what_a_later_minor_version_adds_disturbs_nobody(tmp_path):
    def add_all(file):
        file.attrs.update({"schema_version": "1.9.0", "made_later": np.arange(3)})
        clocks = file.create_group("clocks/deep")
        clocks["offset"] = np.zeros((3, 2))
        clocks["text"] = "words"
        skew = file.create_dataset("rank_skew", data=np.zeros(2, "f4"))
        skew.dims[0].attach_scale(file["rank"])

    run = planted(tmp_path, add_all, NEWEST)
    found = findings(tmp_path, run)
    assert found.keys() == findings(tmp_path, NEWEST).keys()
    for words in (["figures", run, "-o", tmp_path / "out"], ["compare", NEWEST, run]):
        done = command(*words)
        assert (done.returncode, done.stderr) == (0, "")
