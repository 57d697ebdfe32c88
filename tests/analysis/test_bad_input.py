"""What cannot be used is refused, by `open` and by the command, with the file and the reason."""

import faulthandler
import os
import pathlib
import re
import signal
import subprocess
import sys
import time
import traceback

import h5py
import numpy as np
import pytest

import layerledger
from layerledger import access, trial
from synthetic import Synthetic

ANALYSIS = pathlib.Path(__file__).parents[2] / "analysis"


def command(name, path, output, *more):
    return subprocess.run(
        [sys.executable, "-B", "-m", "layerledger", name, str(path), *map(str, more),
         "-o", str(output)],
        cwd=ANALYSIS, capture_output=True, text=True, timeout=300, check=False)


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


def rescaled(name, data):
    """Replaces the numbers of an array, whatever their extent, and keeps its unit and scales."""
    def edit(file):
        scales, units = [dim[0] for dim in file[name].dims], file[name].attrs["units"]
        del file[name]
        file[name] = data
        file[name].attrs["units"] = units
        for axis, scale in enumerate(scales):
            file[name].dims[axis].attach_scale(scale)
    return edit


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
    "unknown version": (edited(lambda f: f.attrs.modify("schema_version", "new")), 65,
                        "damaged: its schema_version is 'new', not as in 1.0.0"),
    "much newer schema": (Synthetic(schema_version="10.1.0").write, 65,
                          "has schema 10.1.0, and this package reads 1.x"),
    "attribute missing": (edited(lambda f: f.attrs.pop("committed_iterations")), 65,
                          "the attribute committed_iterations is missing"),
    "extra array": (edited(lambda f: f.create_dataset("extra", data=[1.0, 2.0])), 65,
                    "un-scaled array: extra has no dimension scale on axis 0"),
    "uneven": (edited(lambda f: f["loss"].resize((19,))), 65,
               "uneven extents: loss has 19 along iteration, which has 20 (20 committed)"),
    "uneven ranks": (edited(rescaled("threads", [1, 1, 1])), 65,
                     "uneven extents: threads has 3 along rank, which has 2"),
    "array missing": (edited(lambda f: f.pop("activity_time")), 65,
                      "the array activity_time is missing"),
    "scale missing": (edited(lambda f: f.pop("layer")), 65, "the dimension layer is missing"),
    "no scale": (edited(replace("layer", np.arange(3))), 65, "layer is not a dimension"),
    "too few rows": (edited(lambda f: f.attrs.modify("committed_iterations", 30)), 65,
                     "cut short: 30 iterations are committed, 20 are there"),
    "no count": (edited(lambda f: f.attrs.modify("committed_iterations", -3)), 65,
                 "damaged: its committed_iterations is -3"),
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


@pytest.mark.parametrize("name", ["report", "figures"])
@pytest.mark.parametrize("case", ["cut", "only warm-up", "newer schema"])
def test_a_refused_file_leaves_no_folder(name, case, tmp_path):
    BAD[case][0](tmp_path / "bad.h5")
    Synthetic().write(tmp_path / "good.h5")
    done = command(name, tmp_path / "bad.h5", tmp_path / "out", tmp_path / "good.h5")
    assert done.returncode == 65 and done.stderr.count("\n") == 1, done.stderr
    assert not (tmp_path / "out").exists()


WITHOUT = """
import importlib.util, sys
find = importlib.util.find_spec
importlib.util.find_spec = lambda name: None if name in {absent!r} else find(name)
sys.argv = ["-m"]
import runpy
runpy.run_module("layerledger", run_name="__main__")
"""


def test_missing_packages_are_named_with_the_command_that_installs_them():
    done = subprocess.run(
        [sys.executable, "-B", "-c", WITHOUT.format(absent=["numpy", "h5py"])],
        cwd=ANALYSIS, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 69, done.stderr
    assert done.stderr.count("\n") == 1 and "has no numpy, h5py: " in done.stderr
    assert "apt-get install python3-numpy python3-h5py" in done.stderr \
        or "-m pip install numpy h5py" in done.stderr
    done = subprocess.run(
        [sys.executable, "-S", "-B", "-c", "import layerledger"],  # a Python without any package
        cwd=ANALYSIS, capture_output=True, text=True, timeout=60, check=False)
    assert done.stderr.splitlines()[-1].startswith("ImportError: ") and "numpy" in done.stderr


def test_no_runs_are_refused():
    for use in (layerledger.open_many, layerledger.metadata):
        with pytest.raises(layerledger.AnalysisError, match="no run files were given") as refusal:
            use([])
        assert refusal.value.code == 64


@pytest.mark.parametrize("keep", [3, 700, 20_000, -4000])
def test_a_file_cut_anywhere_is_refused(keep, tmp_path):
    path = Synthetic().write(tmp_path / "run.h5")
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(layerledger.RunFileError, match=r"cut short|not HDF5|damaged"):
        layerledger.open(path)


OPENED, REFUSED, FAILED = range(3)


def outcome(use, path):
    """What comes of using a damaged file, in a process of its own: HDF5 itself may crash or hang.

    A negative number is the signal that ended the process.
    """
    child = os.fork()
    if child == 0:
        result = FAILED
        try:
            faulthandler.disable()  # a crash of HDF5 is told by its signal
            signal.alarm(60)
            use(path)
            result = OPENED
        except layerledger.RunFileError as error:
            result = REFUSED if str(error).startswith(f"{path}: ") and error.reason else FAILED
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(result)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def read_all(path):
    """Everything that RunFile gives."""
    with layerledger.RunFile(path) as run:
        for name in run.variables():
            run.read(name)
            run.attributes(name)
        for name in ("layer_time", "loss"):
            for _ in run.blocks(name):
                pass
        for _ in run.rank_blocks("layer_time"):
            pass
        for name in dir(type(run)):
            getattr(run, name)


def crash(_):
    os.kill(os.getpid(), signal.SIGSEGV)


@pytest.mark.parametrize(("opened", "reason"), [
    (crash, "damaged: HDF5 crashes over it (SIGSEGV)"),
    (lambda _: time.sleep(60), "damaged: HDF5 does not come back from reading it in 0 s")])
def test_where_hdf5_crashes_or_hangs_the_file_is_refused(opened, reason, tmp_path, monkeypatch):
    path = Synthetic().write(tmp_path / "run.h5")
    monkeypatch.setattr(trial, "SECONDS", 0.3)
    monkeypatch.setattr(access, "_opened", opened)
    with pytest.raises(layerledger.RunFileError) as refusal:
        layerledger.open(path)
    assert refusal.value.reason == reason


def test_a_known_crash_of_hdf5_is_an_error(tmp_path, monkeypatch):
    """HDF5 1.10.8 crashes when it closes a file with a wrong byte in one of the attributes."""
    path = Synthetic().write(tmp_path / "run.h5")
    whole = path.read_bytes()
    with monkeypatch.context() as without_trial:
        without_trial.setattr(access, "survive", lambda *_: None)
        for match in re.finditer(b"long_name", whole):
            place = match.start() + 41
            path.write_bytes(whole[:place] + b"\xe1" + whole[place + 1:])
            if outcome(layerledger.open, path) == -signal.SIGSEGV:
                break
        else:
            pytest.skip(f"HDF5 {h5py.version.hdf5_version} crashes over none of them")
    assert outcome(layerledger.open, path) == REFUSED
    with pytest.raises(layerledger.RunFileError, match=r"damaged: HDF5 crashes over it \(SIGSEGV"):
        layerledger.open(path)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("use", [layerledger.open, lambda path: layerledger.open_many([path]),
                                 read_all], ids=["open", "open_many", "RunFile"])
def test_damage_anywhere_is_refused_or_harmless(use, tmp_path):
    path = Synthetic().write(tmp_path / "run.h5")
    whole = path.read_bytes()
    random = np.random.default_rng(1)
    found = {}
    for offset in [97384, *map(int, random.integers(0, len(whole) - 512, 30))]:
        damaged = bytearray(whole)
        damaged[offset:offset + 512] = random.bytes(512)
        path.write_bytes(damaged)
        found[offset] = outcome(use, path)
    assert not {at: end for at, end in found.items() if end not in (OPENED, REFUSED)}
    assert REFUSED in found.values() and OPENED in found.values()


@pytest.mark.parametrize(("status", "words"), [
    ("failed", "the run failed"), ("running", "the run has not ended, or was killed"),
    ("interrupted", "the run was interrupted")])
def test_what_is_committed_is_read_with_a_warning(status, words, tmp_path):
    path = Synthetic(status=status).write(tmp_path / "run.h5")
    words = f"{words}: its 20 committed iterations are read"
    with pytest.warns(layerledger.RunFileWarning) as caught:
        run = layerledger.open(path)
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
