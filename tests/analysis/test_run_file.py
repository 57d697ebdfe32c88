"""The run file as other people's tools see it: h5py, xarray (h5netcdf and netCDF4).

Reads what the program record_sample wrote, whose numbers tests/support/sample_run.hpp defines.
Run by CTest; by hand: RECORD_SAMPLE=build/tests/system/record_sample pytest test_run_file.py
"""

import os
import pathlib
import random
import shutil
import signal
import subprocess
import time

import h5py
import numpy as np
import pytest

PROGRAM = os.environ["RECORD_SAMPLE"]
RANKS, ITERATIONS, BLOCK = 3, 10, 4
LAYERS = ["conv1", "pool1", "output"]
PHASES = ["forward", "backward", "update"]
# The sample has none of these.
ABSENT = ["memcpy_hidden", "launch_bound", "h2d_start", "h2d_end", "d2h_start", "d2h_end"]
ACTIVITIES = ["memcpy_h2d", "memcpy_d2h", "allreduce_wait", "allreduce_transfer", "input_wait",
              "idle_launch", "idle_sync", "idle_other", "measurement"]


def call(*words):
    return subprocess.run([PROGRAM, *map(str, words)], capture_output=True, text=True, timeout=60)


def write_sample(path, level="op"):
    done = call("write", path, RANKS, ITERATIONS, BLOCK, level)
    assert done.returncode == 0, done.stderr
    return path


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    return write_sample(tmp_path_factory.mktemp("sample") / "run.h5")


@pytest.fixture
def copy(sample, tmp_path):
    return shutil.copy(sample, tmp_path / "copy.h5")


def profiled(iterations):
    return iterations % 4 != 3


def expected_arrays(iterations=ITERATIONS, ranks=RANKS, first=0):
    """Every array over iterations, computed from the formulas alone."""
    i = np.arange(first, first + iterations)
    r = np.arange(ranks)
    layer_time = (100.0 * (np.arange(3) + 1)[None, None, :, None]
                  + 10.0 * np.arange(3)[None, None, None, :]
                  + r[None, :, None, None] + i[:, None, None, None] / 4)
    layer_start = np.broadcast_to(1000.0 * np.arange(3)[None, :] + 100.0 * np.arange(3)[:, None],
                                  (iterations, ranks, 3, 3)).copy()
    for array in (layer_time, layer_start):
        array[:, :, 1, 2] = np.nan  # pool1 has no update
    activity_time = np.broadcast_to(2.0 * (np.arange(9) + 1) + r[:, None],
                                    (iterations, ranks, 9)).copy()
    unaccounted = np.full((iterations, ranks), 0.5)
    hidden = np.broadcast_to(3.0 + r, (iterations, ranks)).copy()
    iteration_time = np.nansum(layer_time, axis=(2, 3)) + activity_time.sum(axis=2) + 0.5
    op_time = np.stack([layer_time[:, :, 0, :] / 2] * 2, axis=2)
    ready = np.broadcast_to(2000.0 + 10 * np.arange(2), (iterations, ranks, 2)).copy()
    arrays = {
        "layer_time": layer_time, "layer_start": layer_start, "op_time": op_time,
        "activity_time": activity_time, "unaccounted": unaccounted, "allreduce_hidden": hidden,
        "bucket_ready": ready, "bucket_start": ready + 1, "bucket_transfer": ready + 2,
        "bucket_end": ready + 5,
    }
    for array in arrays.values():
        array[~profiled(i)] = np.nan
    iteration_time[~profiled(i)] = 2500.0 + r
    epoch = i // 4
    arrays |= {
        "iteration_time": iteration_time,
        **{name: np.full((iterations, ranks), np.nan) for name in ABSENT},
        "iteration_start": (i - 0)[:, None] * 1_000_000 + 10 * r,
        "iteration": i, "epoch": epoch, "learning_rate": 0.5 / 2.0**epoch,
        "warmup": i < 2, "profiled": profiled(i),
        "loss": 2 - i / 8 + r.mean(), "top1": i / 128, "topk": i / 64,
    }
    return arrays


DIMS = {
    "layer_time": "iteration rank layer phase", "layer_start": "iteration rank layer phase",
    "op_time": "iteration rank op phase", "activity_time": "iteration rank activity",
    "iteration_time": "iteration rank", "iteration_start": "iteration rank",
    "unaccounted": "iteration rank", "allreduce_hidden": "iteration rank",
    **dict.fromkeys(ABSENT, "iteration rank"), "bucket_ready": "iteration rank bucket",
    "bucket_start": "iteration rank bucket", "bucket_transfer": "iteration rank bucket",
    "bucket_end": "iteration rank bucket", "loss": "iteration", "top1": "iteration",
    "topk": "iteration", "learning_rate": "iteration", "epoch": "iteration",
    "warmup": "iteration", "profiled": "iteration", "hostname": "rank", "local_rank": "rank",
    "device_name": "rank", "device_uuid": "rank", "threads": "rank", "clock_offset": "rank",
    "clock_bound": "rank", "estimated_memory": "rank", "peak_memory": "rank",
    "device_memory": "rank", "device_library_memory": "rank",
    "layer_kind": "layer", "layer_parameters": "layer",
    "layer_flops": "layer phase", "layer_bytes": "layer phase", "layer_algorithm": "layer",
    "layer_workspace_bytes": "layer", "layer_activation_bytes": "layer",
    "layer_parameter_bytes": "layer", "layer_gradient_bytes": "layer",
    "layer_optimizer_bytes": "layer", "op_kind": "op",
    "op_layer": "op", "bucket_bytes": "bucket", "bucket_layers": "bucket",
}
TYPES = {
    "iteration": "i8", "rank": "i4", "bucket": "i4", "iteration_start": "i8", "epoch": "i4",
    "warmup": "u1", "profiled": "u1", "local_rank": "i4", "threads": "i4", "clock_offset": "i8",
    "clock_bound": "i8", "layer_parameters": "i8", "layer_flops": "f8", "layer_bytes": "f8",
    "layer_workspace_bytes": "i8", "layer_activation_bytes": "i8", "layer_parameter_bytes": "i8",
    "layer_gradient_bytes": "i8", "layer_optimizer_bytes": "i8", "estimated_memory": "i8",
    "peak_memory": "f8", "device_memory": "f8", "device_library_memory": "f8", "op_layer": "i4",
    "bucket_bytes": "i8",
} | dict.fromkeys(("layer", "phase", "activity", "op", "hostname", "device_name", "device_uuid",
                   "layer_kind", "layer_algorithm", "op_kind", "bucket_layers"), "O")
UNITS = {"iteration_start": "ns", "clock_offset": "ns", "clock_bound": "ns",
         "layer_bytes": "byte", "layer_workspace_bytes": "byte", "layer_activation_bytes": "byte",
         "layer_parameter_bytes": "byte", "layer_gradient_bytes": "byte",
         "layer_optimizer_bytes": "byte", "estimated_memory": "byte", "peak_memory": "byte",
         "device_memory": "byte", "device_library_memory": "byte",
         "bucket_bytes": "byte"} | {
             name: "us" for name in DIMS
             if name.endswith("_time") or (name.startswith("bucket_") and name not in (
                 "bucket_bytes", "bucket_layers"))
             or name in ("layer_start", "unaccounted", "allreduce_hidden", *ABSENT)}
SCALES = ["iteration", "rank", "layer", "phase", "activity", "bucket", "op"]


def test_holds_exactly_the_datasets_of_the_schema_scales_first(sample):
    with h5py.File(sample) as file:
        names = []
        file.id.links.iterate(names.append, idx_type=h5py.h5.INDEX_CRT_ORDER)
        names = [name.decode() for name in names]
        datasets = [name for name in names if isinstance(file[name], h5py.Dataset)]
        assert datasets[:7] == SCALES
        assert sorted(datasets[7:]) == sorted(DIMS)


def test_every_array_hangs_on_its_scales(sample):
    with h5py.File(sample) as file:
        for name in SCALES:
            assert h5py.h5ds.is_scale(file[name].id), name
        for name, dims in DIMS.items():
            of_file = [[scale.name[1:] for scale in dim.values()] for dim in file[name].dims]
            assert of_file == [[dim] for dim in dims.split()], name


def test_types_units_and_meanings(sample):
    with h5py.File(sample) as file:
        for name in SCALES + list(DIMS):
            data = file[name]
            assert data.dtype == np.dtype(TYPES.get(name, "f4")), name
            assert data.attrs["long_name"], name
            if data.dtype.kind == "O":
                assert h5py.check_string_dtype(data.dtype) == ("utf-8", None), name
            else:
                assert data.attrs["units"] == UNITS.get(name, "1"), name
            if data.dtype == np.float32:
                assert np.isnan(data.fillvalue) and np.isnan(data.attrs["_FillValue"]), name


@pytest.mark.parametrize("level", ["layer", "op"])
def test_every_number_comes_back(tmp_path, level):
    arrays = expected_arrays()
    with h5py.File(write_sample(tmp_path / "run.h5", level)) as file:
        assert ("op_time" in file) == (level == "op")
        if level == "layer":
            del arrays["op_time"]
        for name, expected in arrays.items():
            np.testing.assert_array_equal(file[name][()], expected, err_msg=name)


def test_descriptions(sample):
    with h5py.File(sample) as file:
        def texts(name):
            return list(file[name].asstr()[()])
        assert texts("layer") == LAYERS
        assert texts("phase") == PHASES
        assert texts("activity") == ACTIVITIES
        assert texts("op") == ["conv1/conv", "conv1/relu"]
        assert texts("hostname") == ["node0", "node0", "node1"]
        assert texts("device_name") == ["ÄMD Epyc"] * 3
        assert texts("device_uuid") == ["uuid-0", "uuid-1", "uuid-2"]
        assert texts("layer_kind") == ["conv", "pool", "dense"]
        assert texts("layer_algorithm") == ["direct; jit", "", "gemm"]
        assert texts("op_kind") == ["convolution", "relu"]
        assert texts("bucket_layers") == ["output", "pool1 conv1"]
        for name, numbers in {
                "rank": [0, 1, 2], "bucket": [0, 1], "local_rank": [0, 1, 0], "threads": [2, 2, 2],
                "clock_offset": [0, 1000, 2000], "clock_bound": [0, 50, 50],
                "layer_parameters": [520, 0, 5010], "layer_workspace_bytes": [4096, 0, 0],
                "layer_activation_bytes": [73728, 18432, 160], "op_layer": [0, 0],
                "bucket_bytes": [20040, 2080],
                "layer_flops": [[1e6, 2e6, 1040], [2e4, 2e4, 0], [4e4, 8e4, 1e4]],
                "layer_bytes": [[1e4, 2e4, 6e3], [3e4, 3e4, 0], [5e4, 6e4, 7e4]]}.items():
            np.testing.assert_array_equal(file[name][()], numbers, err_msg=name)


def test_attributes(sample):
    with h5py.File(sample) as file:
        attributes = dict(file.attrs)
        assert attributes.pop("creator").startswith("layerledger ")
        assert attributes == {
            "Conventions": "layerledger-1.0", "schema_version": "1.4.0", "title": "sample",
            "run_id": "6c1f3f2e-58f5-4a4c-9d0e-4f2f1d1b7a10",
            "date_created": "2026-11-24T03:00:00Z", "status": "complete", "level": "op",
            "committed_iterations": 10, "warmup_iterations": 2, "per_rank_batch": 4,
            "dropped_iterations": 0, "missing_iterations": 0, "lost_checkpoints": 0, "dropped_spans": 0,
            "skipped_images": 3, "history": "2026-11-24T03:00:00Z begun"}
        assert file["iteration_start"].attrs["epoch_ns"] == 1_000_000_000
        assert file["warmup"].attrs["flag_meanings"] == "no yes"
        assert list(file["warmup"].attrs["flag_values"]) == [0, 1]


def test_facts_are_scalars(sample):
    with h5py.File(sample) as file:
        assert file["config/text"].asstr()[()] == "[train]\nbatch_size = 4\n"
        assert file["config/train.batch_size"].asstr()[()] == "4"
        assert file["config/train.batch_size"].attrs["origin"] == "command line"
        assert file["config/data.root"].asstr()[()] == ""
        assert file["network/name"].asstr()[()] == "lenet5"
        assert file["provenance/hdf5"].asstr()[()] == "1.10.8"
        assert file["overhead/percent"][()] == 0.25
        assert file["overhead/percent"].attrs["units"] == "percent"
        assert file["overhead/pairs"][()] == 20
        assert file["validation/top1"][()] == 0.5
        assert file["validation/seconds"].attrs["units"] == "s"


@pytest.mark.parametrize("engine", ["h5netcdf", "netcdf4"])
def test_opens_in_xarray(sample, engine):
    xarray = pytest.importorskip("xarray")
    pytest.importorskip({"netcdf4": "netCDF4"}.get(engine, engine))
    with xarray.open_dataset(sample, engine=engine) as data:
        assert dict(data.sizes) == {"iteration": 10, "rank": 3, "layer": 3, "phase": 3,
                                    "activity": 9, "bucket": 2, "op": 2}
        arrays = expected_arrays()
        for name, dims in DIMS.items():
            assert data[name].dims == tuple(dims.split()), name
            if name in arrays:
                np.testing.assert_array_equal(data[name].values, arrays[name], err_msg=name)
        assert data.layer_time.dtype == np.float32  # not decoded to a time span
        backward = data.layer_time.sel(layer="conv1", phase="backward", rank=1, iteration=2)
        assert float(backward) == 100 + 10 + 1 + 0.5
        assert list(data.layer_time.coords["hostname"].values) == ["node0", "node0", "node1"]
    with xarray.open_dataset(sample, engine=engine, group="config") as config:
        assert str(config["train.batch_size"].values) == "4"


def test_a_whole_file_has_no_faults(sample):
    done = call("check", sample)
    assert (done.returncode, done.stdout) == (0, "")


def test_a_file_of_an_older_minor_version_lacks_what_came_later(copy):
    with h5py.File(copy, "r+") as file:
        for name in ("peak_memory", "device_memory", "device_library_memory", "estimated_memory", "layer_parameter_bytes",
                     "layer_gradient_bytes", "layer_optimizer_bytes"):
            del file[name]
    assert "peak_memory is missing" in call("check", copy).stdout
    with h5py.File(copy, "r+") as file:
        del file["starts"], file.attrs["missing_iterations"]
        file.attrs["schema_version"] = "1.0.0"
    assert call("check", copy).stdout == ""
    assert "peak memory" not in call("summary", copy).stdout


@pytest.mark.parametrize("version", ["1.0.0", "1.1.0", "1.2.0", "1.4.0"])
def test_kept_files_of_every_version_have_no_faults(version):
    path = pathlib.Path(__file__).parent / "fixtures" / f"run-{version}.h5"
    assert call("check", path).stdout == ""
    assert ("  starts " in call("summary", path).stdout) == (version >= "1.2.0")


def test_a_file_killed_before_its_first_iteration_has_no_faults(tmp_path):
    path = tmp_path / "run.h5"
    assert call("create", path).returncode == 0
    with h5py.File(path) as file:
        assert file.attrs["status"] == "running" and "iteration" not in file
    done = call("check", path)
    assert (done.returncode, done.stdout) == (0, "")


def rewrite_units(file):
    file["layer_time"].attrs["units"] = "ms"


def detach_scale(file):
    file["unaccounted"].dims[1].detach_scale(file["rank"])


def replace(name, data, dtype=None):
    def corrupt(file):
        del file[name]
        file.create_dataset(name, data=data, dtype=dtype)
    return corrupt


def shorten(file):
    file["loss"].resize((9,))


def spoil_account(file):
    file["layer_time"][5, 2, 0, 1] += 1


def spoil_iterations(file):
    file["iteration"][6] = 5


def skip_iterations(file):
    file["iteration"][9] = 19


FAULTS = {
    "status 'done' is none of": lambda file: file.attrs.modify("status", "done"),
    "level 'deep' is none of": lambda file: file.attrs.modify("level", "deep"),
    "attribute run_id is missing": lambda file: file.attrs.pop("run_id"),
    "attribute per_rank_batch is missing": lambda file: file.attrs.pop("per_rank_batch"),
    "attribute committed_iterations is negative":
        lambda file: file.attrs.modify("committed_iterations", -1),
    "committed_iterations is 11 but there are only 10 rows":
        lambda file: file.attrs.modify("committed_iterations", 11),
    "scale layer is missing": lambda file: file.pop("layer"),
    "group provenance is missing": lambda file: file.pop("provenance"),
    "activity_time is missing": lambda file: file.pop("activity_time"),
    "hostname is missing": lambda file: file.pop("hostname"),
    "layer_time has the units 'ms' instead of 'us'": rewrite_units,
    "topk has no long_name": lambda file: file["topk"].attrs.pop("long_name"),
    "unaccounted is not attached to the scale rank on axis 1": detach_scale,
    "loss is 9 where its dimensions are 10": shorten,
    "threads has another element type": replace("threads", [2.0, 2.0, 2.0]),
    "extra has no scale on axis 0": lambda file: file.create_dataset("extra", data=[1, 2]),
    "iteration does not rise after row 5": spoil_iterations,
    "of iterations 0 to 19 there are 10, and 0 are said to be missing": skip_iterations,
    "attribute missing_iterations is missing": lambda file: file.attrs.pop("missing_iterations"),
    "starts has no rows": lambda file: file.pop("starts"),
    "/starts/started_date is missing": lambda file: file.pop("starts/started_date"),
    "the start of 2026-11-24T03:00:00Z at iteration 0 with 2 ranks cannot be":
        lambda file: file["starts/started_ranks"].write_direct(np.array([2])),
    "account of row 5, rank 2 does not close": spoil_account,
}


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_is_named(copy, fault):
    with h5py.File(copy, "r+") as file:
        FAULTS[fault](file)
    done = call("check", copy)
    assert done.returncode == 65
    assert fault in done.stdout, done.stdout


@pytest.mark.parametrize("command", ["check", "summary"])
def test_an_unknown_major_version_is_refused(copy, command):
    with h5py.File(copy, "r+") as file:
        file.attrs["schema_version"] = "2.0.0"
    done = call(command, copy)
    assert done.returncode == 65
    assert "schema 2.0.0" in done.stderr and done.stderr.count("\n") == 1


@pytest.mark.parametrize("command", ["check", "summary"])
def test_a_cut_file_is_refused(copy, command):
    os.truncate(copy, 20_000)
    done = call(command, copy)
    assert done.returncode == 65
    assert str(copy) in done.stdout + done.stderr


def test_rows_of_a_broken_off_commit_do_not_count(copy):
    with h5py.File(copy, "r+") as file:
        file.attrs["status"] = "running"
        file["loss"].resize((14,))
        file["layer_time"].resize((14, RANKS, 3, 3))
    done = call("check", copy)
    assert (done.returncode, done.stdout) == (0, "")
    assert call("fail", copy).returncode == 0
    with h5py.File(copy) as file:
        assert file.attrs["status"] == "failed"
        assert file["loss"].shape == (10,) and file["layer_time"].shape == (10, RANKS, 3, 3)
    done = call("check", copy)
    assert (done.returncode, done.stdout) == (0, "")


def test_reads_a_file_that_a_writer_holds_for_a_moment(sample):
    reader = h5py.File(sample)
    try:
        assert call("summary", sample).returncode == 0
    finally:
        reader.close()


def test_a_kill_at_any_moment_leaves_every_committed_row_right(tmp_path):
    path = tmp_path / "run.h5"
    chance = random.Random(1)
    committed_in_all = 0
    for attempt in range(20):
        writer = subprocess.Popen([PROGRAM, "append", str(path), "8"])
        deadline = time.monotonic() + 20
        while not path.exists() and time.monotonic() < deadline:
            time.sleep(0.002)
        time.sleep(chance.uniform(0, 0.4))
        writer.send_signal(signal.SIGKILL)
        writer.wait()
        with h5py.File(path) as file:
            committed = int(file.attrs["committed_iterations"])
            committed_in_all += committed
            if committed == 0:
                continue
            arrays = expected_arrays(committed, 4)
            del arrays["op_time"]
            for name, expected in arrays.items():
                np.testing.assert_array_equal(file[name][:committed],
                                              expected.astype(file[name].dtype),
                                              err_msg=f"{name}, attempt {attempt}")
        done = call("check", path)
        assert done.returncode == 0, done.stdout + done.stderr
    assert committed_in_all > 0
