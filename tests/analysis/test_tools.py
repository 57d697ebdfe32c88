"""The run file in pandas, h5dump and ncdump: names, shapes, units and values.

Run by CTest; by hand: RECORD_SAMPLE=build/tests/system/record_sample pytest test_tools.py
"""

import re
import shutil
import subprocess

import h5py
import numpy as np
import pytest

from test_run_file import DIMS, ITERATIONS, LAYERS, RANKS, UNITS, expected_arrays, write_sample


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    return write_sample(tmp_path_factory.mktemp("tools") / "run.h5")


def output_of(tool, package, *words):
    if not shutil.which(tool):
        pytest.skip(f"there is no {tool} (apt-get install {package})")
    done = subprocess.run([tool, *map(str, words)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and not done.stderr, done.stderr
    return done.stdout


def test_opens_in_pandas(sample):
    pandas = pytest.importorskip("pandas")
    with h5py.File(sample) as file:
        table = pandas.DataFrame(file["layer_time"][:, 1, :, 1],
                                 index=pandas.Index(file["iteration"][()], name="iteration"),
                                 columns=file["layer"].asstr()[()])
    assert table.shape == (ITERATIONS, 3) and list(table.columns) == LAYERS
    np.testing.assert_array_equal(table.to_numpy(), expected_arrays()["layer_time"][:, 1, :, 1])


def test_ncdump_tells_names_shapes_and_units(sample):
    header = output_of("ncdump", "netcdf-bin", "-h", sample)
    extents = dict(re.findall(r"^\t(\w+) = (?:UNLIMITED ; // \()?(\d+)", header, re.MULTILINE))
    assert {name: int(extent) for name, extent in extents.items()} == {
        "iteration": ITERATIONS, "rank": RANKS, "layer": 3, "phase": 3, "activity": 9, "bucket": 2,
        "op": 2}
    for name, dims in DIMS.items():
        shape = ", ".join(dims.split())
        assert re.search(rf"^\t\w+ {name}\({shape}\) ;", header, re.MULTILINE), name
        texts = re.search(rf"^\tstring {name}\(", header, re.MULTILINE)
        units = re.search(rf'\t(?:string )?{name}:units = "(.*)" ;', header)
        assert bool(texts) != bool(units), name
        if units:
            assert units.group(1) == UNITS.get(name, "1"), name
    assert 'schema_version = "1.' in header


def test_h5dump_tells_values_shape_and_units(sample):
    text = output_of("h5dump", "hdf5-tools", "-y", "-w", "1", "-m", "%.6f", "-d", "/layer_time",
                     sample)
    shape = re.search(r"DATASPACE\s+SIMPLE \{ \( ([\d, ]+) \)", text).group(1)
    assert shape == f"{ITERATIONS}, {RANKS}, 3, 3"
    body = re.search(r"DATA \{(.*?)\}", text, re.DOTALL).group(1)
    values = np.array(re.findall(r"-?nan|-?[\d.]+", body), float).reshape(ITERATIONS, RANKS, 3, 3)
    np.testing.assert_allclose(values, expected_arrays()["layer_time"], atol=1e-5)
    units = output_of("h5dump", "hdf5-tools", "-a", "/layer_time/units", sample)
    assert '"us"' in units
    assert all(f'"{name}"' in output_of("h5dump", "hdf5-tools", "-d", "/layer", sample)
               for name in LAYERS)
