"""What cannot be used is refused, by `open` and by the command, with the file and the reason."""

import pathlib
import subprocess
import sys

import h5py
import numpy as np
import pytest
from synthetic import Synthetic

import layerledger

ANALYSIS = pathlib.Path(__file__).parents[2] / "analysis"


def command(name, path, output):
    return subprocess.run(
        [sys.executable, "-B", "-m", "layerledger", name, str(path), "-o", str(output)],
        cwd=ANALYSIS, capture_output=True, text=True, timeout=300)


def edited(edit, **made):
    def make(path):
        Synthetic(**made).write(path)
        with h5py.File(path, "r+") as file:
            edit(file)
    return make


def replace(name, data):
    def edit(file):
        del file[name]
        file.create_dataset(name, data=data)
    return edit


def rescale(file):
    file["layer_time"].attrs["units"] = "ms"


def cut(path):
    Synthetic().write(path)
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size * 2 // 3)


BAD = {
    "not HDF5": (lambda path: path.write_text("hello"), 65, "it is not HDF5"),
    "empty": (lambda path: path.write_bytes(b""), 65, "it is not HDF5"),
    "no run file": (lambda path: h5py.File(path, "w").close(), 65, "no run file of layerledger"),
    "missing": (lambda path: None, 66, "there is no such file"),
    "folder": (lambda path: path.mkdir(), 65, "a folder, not a run file"),
    "newer schema": (Synthetic(schema_version="2.0.0").write, 65,
                     "has schema 2.0.0, and this package reads 1.x"),
    "cut": (cut, 65, "cut short"),
    "un-scaled": (edited(lambda f: f["layer_time"].dims[2].detach_scale(f["layer"])), 65,
                  "un-scaled array: layer_time has no dimension scale on axis 2"),
    "wrong unit": (edited(rescale), 65, "layer_time has the units 'ms' instead of 'us'"),
    "uneven": (edited(lambda f: f["loss"].resize((9,))), 65, "uneven extents: loss has 9"),
    "array missing": (edited(lambda f: f.pop("activity_time")), 65,
                      "the array activity_time is missing"),
    "scale missing": (edited(replace("layer", np.arange(3))), 65, "layer is not a dimension"),
    "too few rows": (edited(lambda f: f.attrs.modify("committed_iterations", 21)), 65,
                     "21 committed"),
    "unknown status": (Synthetic(status="done").write, 65, "the status 'done' is none of"),
    "unknown level": (edited(lambda f: f.attrs.modify("level", "deep")), 65,
                      "the level 'deep' is none of"),
    "only warm-up": (Synthetic(iterations=2).write, 65,
                     "no iterations after warm-up (2 committed, 2 of them warm-up)"),
}


@pytest.mark.parametrize("case", BAD)
def test_open_refuses(case, tmp_path):
    make, code, reason = BAD[case]
    path = tmp_path / "bad.h5"
    make(path)
    for use in (layerledger.open, lambda path: layerledger.open_many([path])):
        with pytest.raises(layerledger.RunFileError) as refusal:
            use(path)
        assert str(path) in str(refusal.value) and reason in str(refusal.value)
        assert refusal.value.code == code


@pytest.mark.parametrize("case", BAD)
def test_the_command_says_so_in_one_line(case, tmp_path):
    make, code, reason = BAD[case]
    path = tmp_path / "bad.h5"
    make(path)
    done = command("report", path, tmp_path / "out")
    assert done.returncode == code, done.stderr
    assert done.stderr.count("\n") == 1, done.stderr
    assert str(path) in done.stderr and reason in done.stderr


@pytest.mark.parametrize(("status", "words"), [
    ("failed", "the run failed"), ("running", "the run has not ended, or was killed"),
    ("interrupted", "the run was interrupted")])
def test_what_is_committed_is_read_with_a_warning(status, words, tmp_path):
    path = Synthetic(status=status).write(tmp_path / "run.h5")
    words = f"{words}: its 20 committed iterations are read"
    with pytest.warns(layerledger.RunFileWarning) as caught, layerledger.open(path) as run:
        assert run.sizes["iteration"] == 18 and run.attrs["notes"] == words
    assert [str(warning.message) for warning in caught] == [f"{path}: {words}"]
    done = command("report", path, tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert f"warning: {path}: {words}" in done.stderr
    assert list((tmp_path / "out").glob("*.html"))


def test_layers_are_needed_where_there_are_none(tmp_path):
    path = Synthetic(level="iteration").write(tmp_path / "run.h5")
    with layerledger.RunFile(path) as run, pytest.raises(
            layerledger.RunFileError, match="recorded at level 'iteration', but a table needs"):
        run.require_layers("a table")
    done = command("figures", path, tmp_path / "out")
    assert done.returncode == 65, done.stderr
    assert done.stderr.count("\n") == 1, done.stderr
    assert str(path) in done.stderr and "recorded at level 'iteration'" in done.stderr
