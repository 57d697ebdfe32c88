"""FORMAT.md against a fresh run file, both ways; names each line that is missing or stale.

Run by CTest; by hand: RECORD_SAMPLE=build/tests/system/record_sample pytest test_format.py
"""

import pathlib
import re
import shutil
import subprocess

import h5py
import numpy as np
import pytest

from test_run_file import write_sample

HERE = pathlib.Path(__file__).parent
NEWEST = HERE / "fixtures" / "run-1.4.0.h5"
TEXT = (HERE.parents[1] / "analysis" / "FORMAT.md").read_text(encoding="utf-8")


def section(title):
    """The lines of a section's table, by name."""
    lines = TEXT.split(f"\n## {title}\n", 1)[1].split("\n## ", 1)[0].splitlines()
    rows = [line for line in lines if line.startswith("| ") and not line.startswith("| Name")]
    return {row.split(" | ")[0].removeprefix("| "): row for row in rows}


def type_of(data):
    return "text" if data.dtype.kind == "O" else data.dtype.name


def line_of(name, data):
    scale = h5py.h5ds.is_scale(data.id)
    dims = [name] if scale else [next(iter(dim.values())).name[1:] for dim in data.dims]
    fill = "NaN" if "_FillValue" in data.attrs else "-"
    return (f"| {name} | {type_of(data)} | {data.attrs.get('units', '-')} | {', '.join(dims)} "
            f"| {fill} | {data.attrs['long_name']} |")


def differences(title, documented, found):
    """What to do to a section, one instruction for each line."""
    faults = [f"add to '{title}':  {found[name]}" for name in found if name not in documented]
    faults += [f"remove from '{title}':  {documented[name]}"
               for name in documented if name not in found]
    faults += [f"in '{title}', replace  {documented[name]}\n  by  {found[name]}"
               for name in found if name in documented and documented[name] != found[name]]
    return faults


def expect_none(faults):
    if faults:
        pytest.fail("FORMAT.md and a fresh file differ:\n" + "\n".join(faults), pytrace=False)


@pytest.fixture(scope="module")
def fresh(tmp_path_factory):
    with h5py.File(write_sample(tmp_path_factory.mktemp("format") / "run.h5")) as file:
        yield file


def test_every_dataset_is_defined_and_every_definition_is_there(fresh):
    found = {"Dimensions": {}, "Descriptions, known before the first iteration": {},
             "Iterations": {}}
    scales, descriptions, iterations = found.values()
    for name, data in fresh.items():
        if isinstance(data, h5py.Dataset):
            along = not h5py.h5ds.is_scale(data.id) and next(iter(data.dims[0].values())).name
            table = scales if not along else iterations if along == "/iteration" else descriptions
            table[name] = line_of(name, data)
    expect_none([fault for title, lines in found.items()
                 for fault in differences(title, section(title), lines)])


def test_every_attribute_is_defined():
    with h5py.File(NEWEST) as file:
        documented = section("Attributes of the file")
        missing = [name for name in file.attrs if name not in documented]
        stale = [name for name in documented if name not in file.attrs]
        assert not missing, f"add to 'Attributes of the file': {missing}"
        assert not stale, f"remove from 'Attributes of the file': {stale}"


# Groups of facts that only some runs have, and how many facts each has.
ON_REQUEST = {"staging": 7, "twin": 8, "causality": 8}


def facts_of(file):
    """The lines of all scalars with a unit in groups of facts."""
    return {f"{group}/{name}": (f"| {group}/{name} | {type_of(data)} | {data.attrs['units']} "
                                f"| {data.attrs['long_name']} |")
            for group in ("validation", "overhead", "wall_clock", *ON_REQUEST) if group in file
            for name, data in file[group].items() if data.shape == ()}


def test_every_numeric_fact_is_defined(fresh):
    found = facts_of(fresh)
    assert found
    groups = {name.split("/")[0] for name in found}
    documented = {name: row for name, row in section("Facts").items()
                  if name.split("/")[0] in groups}
    expect_none(differences("Facts", documented, found))


# Facts that runs on CPUs of one node do not have.
ELSEWHERE = {"network/shared_gpu", "provenance/cuda", "provenance/cuda_driver", "provenance/cublas",
             "provenance/cudnn", "provenance/nccl", "provenance/networks"}


def test_facts_on_request_are_defined():
    documented = [name.split("/")[0] for name in section("Facts")]
    assert {group: documented.count(group) for group in ON_REQUEST} == ON_REQUEST


def test_facts_of_a_real_run_are_defined():
    with h5py.File(NEWEST) as file:
        documented = section("Facts")
        for group in ("provenance", "network", "wall_clock", "validation"):
            found = {f"{group}/{name}" for name, data in file[group].items() if data.shape == ()}
            defined = {name for name in documented if name.startswith(f"{group}/")} - ELSEWHERE
            assert found == defined, f"missing: {found - defined}, stale: {defined - found}"


def tables_of(file, *groups):
    found = {}
    for group in groups:
        for name, data in file[group].items():
            if data.shape != ():
                scale = h5py.h5ds.is_scale(data.id)
                dims = name if scale else next(iter(data.dims[0].values())).name.split("/")[-1]
                found[f"{group}/{name}"] = (
                    f"| {group}/{name} | {type_of(data)} | {data.attrs.get('units', '-')} "
                    f"| {dims} | {'NaN' if '_FillValue' in data.attrs else '-'} "
                    f"| {data.attrs['long_name']} |")
    return found


def test_every_table_in_a_group_is_defined(fresh):
    found = tables_of(fresh, "samples", "kernels", "copies", "sensitivity", "anatomy")
    with h5py.File(NEWEST) as file:
        found |= tables_of(file, "validation", "pauses", "starts", "clocks", "late", "stragglers",
                           "labels")
    expect_none(differences("Tables in groups", section("Tables in groups"), found))


@pytest.fixture
def kept(tmp_path, monkeypatch):
    """The median that all examples print, of the kept file that lies in the current folder."""
    fixture = HERE / "fixtures" / "run-1.0.0.h5"
    (tmp_path / "run.h5").write_bytes(fixture.read_bytes())
    monkeypatch.chdir(tmp_path)
    with h5py.File(fixture) as file:
        return np.median(file["layer_time"][2:, 0, 0, 1])  # conv1 is the first of its layers


def example(after, language):
    """The first block of a language that follows some words."""
    return TEXT.split(f"\n{after}", 1)[1].split(f"```{language}\n", 1)[1].split("```", 1)[0]


@pytest.mark.parametrize("package", ["h5py", "xarray", "pandas"])
def test_examples_in_python_run_and_agree(package, kept, capsys):
    exec(compile(example(package, "python"), package, "exec"), {})
    assert float(capsys.readouterr().out) == pytest.approx(kept, rel=1e-5)


def test_the_example_in_r_runs_and_agrees(kept, tmp_path):
    if not shutil.which("Rscript") or subprocess.run(
            ["Rscript", "-e", "library(rhdf5)"], capture_output=True, timeout=100).returncode:
        pytest.skip("there is no R with rhdf5 (apt-get install r-bioc-rhdf5)")
    (tmp_path / "example.R").write_text(example("R (package", "r"))
    done = subprocess.run(["Rscript", "example.R"], capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout.split()[-1]) == pytest.approx(kept, rel=1e-5)


@pytest.mark.parametrize(("after", "language", "order", "cell"), [
    ("R (package", "r", r"aperm\(.*c\(([\d, ]+)\)\)", r"time\[steady, (\d), layer, (\d)\]"),
    ("MATLAB", "matlab", r"permute\(.*\[([\d ]+)\]\)", r"time\(steady, (\d), layer, (\d)\)"),
    ("Julia", "julia", r"permutedims\(.*\(([\d, ]+)\)\)", r"time\[steady, (\d), layer, (\d)\]"),
])
def test_examples_that_list_dimensions_in_reverse_pick_the_same_numbers(
        kept, after, language, order, cell):
    """There is no MATLAB or Julia to run: their libraries give the transpose of what h5py gives."""
    text = example(after, language)
    rank, phase = (int(number) - 1 for number in re.search(cell, text).groups())
    permutation = [int(number) - 1 for number in re.findall(r"\d", re.search(order, text)[1])]
    with h5py.File("run.h5") as file:
        assert file["layer_time"].dims[permutation[0]][0].name == "/phase"
        time = np.transpose(file["layer_time"][()].T, permutation)
        layer = list(file["layer"].asstr()).index("conv1")
        steady = np.flatnonzero(file["warmup"][()] == 0)
    assert np.median(time[steady, rank, layer, phase]) == pytest.approx(kept, rel=1e-5)
