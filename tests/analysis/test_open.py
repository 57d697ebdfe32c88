"""`open`, `open_many`, `metadata` and `RunFile`, on files whose numbers are known and kept ones."""

import copy
import pathlib
import pickle
import shutil
import warnings

import h5py
import numpy as np
import pytest
import xarray

import layerledger
from layerledger import RunFile, RunFileError, RunFileWarning
from layerledger.cli import main
from synthetic import PHASES, Synthetic

FIXTURES = sorted((pathlib.Path(__file__).parent / "fixtures").glob("run-*.h5"))


@pytest.fixture
def path(tmp_path):
    return Synthetic().write(tmp_path / "run.h5")


def commit(path, iterations):
    with h5py.File(path, "r+") as file:
        file.attrs["committed_iterations"] = iterations
    return path


def test_labels_units_and_numbers(tmp_path):
    made = Synthetic(level="op", noise=0.1)
    run = layerledger.open(made.write(tmp_path / "run.h5"))
    assert dict(run.sizes) == {"iteration": 18, "rank": 2, "layer": 3, "phase": 3, "activity": 9,
                               "bucket": 2, "op": 6}
    assert run.layer_time.dims == ("iteration", "rank", "layer", "phase")
    assert list(run.layer.values) == ["conv1", "conv2", "fc1"]
    assert list(run.phase.values) == PHASES
    for name, expected in made.arrays().items():
        np.testing.assert_array_equal(
            run[name].values, expected.astype(run[name].dtype)[2:], err_msg=name)
        assert run[name].attrs["long_name"], name
    assert run.layer_time.attrs["units"] == "us" and run.iteration_start.attrs["units"] == "ns"
    assert list(run.layer_time.coords["hostname"].values) == ["node0", "node0"]
    assert run.attrs["title"] == "synthetic" and run.attrs["status"] == "complete"
    assert run.attrs["config.train.batch_size"] == "8" and run.attrs["provenance.git"] == "0123456"


def test_warmup_can_be_kept(path):
    run = layerledger.open(path)
    assert list(run.iteration.values[:2]) == [2, 3] and run.attrs["warmup_dropped"] == 2
    run = layerledger.open(path, warmup=True)
    assert run.sizes["iteration"] == 20 and run.attrs["warmup_dropped"] == 0
    assert list(np.flatnonzero(run.warmup.values)) == [0, 1]


def test_unprofiled_iterations_can_be_left_out(tmp_path):
    path = Synthetic(every=3).write(tmp_path / "run.h5")
    run = layerledger.open(path)
    assert run.sizes["iteration"] == 18
    assert np.isnan(run.layer_time.where(~run.profiled, drop=True)).all()
    assert not np.isnan(run.iteration_time).any()
    run = layerledger.open(path, unprofiled=False)
    assert list(run.iteration.values) == [3, 6, 9, 12, 15, 18]
    assert not np.isnan(run.layer_time).any()


def test_only_what_is_asked_for_is_read(path):
    run = layerledger.open(path, variables=["loss"])
    assert set(run.data_vars) == {"loss"}
    assert {"layer", "hostname", "warmup"} <= set(run.coords)
    assert layerledger.open(path, variables="loss").identical(run)
    assert not layerledger.open(path, variables=[]).data_vars
    with pytest.raises(RunFileError, match=r"no array op_time .*level 'layer'"):
        layerledger.open(path, variables=["op_time"])


def test_what_was_opened_is_in_memory_and_can_be_copied_filtered_and_pickled(path):
    run = layerledger.open(path)
    path.unlink()
    for twin in (run.copy(deep=True), copy.deepcopy(run), pickle.loads(pickle.dumps(run))):
        assert twin.identical(run)
    slow = run.where(run.iteration > 10, drop=True)
    assert list(slow.iteration.values) == list(range(11, 20))
    np.testing.assert_array_equal(slow.layer_time, run.layer_time[-9:])


def test_uncommitted_rows_are_never_shown(tmp_path):
    path = commit(Synthetic(status="running").write(tmp_path / "run.h5"), 15)
    with h5py.File(path, "r+") as file:
        file["loss"].resize((23,))  # a commit under way
    with pytest.warns(RunFileWarning, match="its 15 committed iterations"):
        run = layerledger.open(path)
    assert run.sizes["iteration"] == 13 and run.layer_time.shape[0] == 13
    assert int(run.layer_time[-1].iteration) == 14
    with pytest.warns(RunFileWarning), RunFile(path) as file:
        assert file.shape("loss") == (15,) and file.read("loss").shape == (15,)
        assert max(block.rows.stop for block in file.blocks("layer_time")) == 15


@pytest.mark.parametrize("has_arrays", [True, False])
def test_a_run_killed_before_its_first_commit_opens_only_with_warmup(has_arrays, tmp_path):
    path = commit(Synthetic(status="running").write(tmp_path / "run.h5"), 0)
    if not has_arrays:
        with h5py.File(path, "r+") as file:
            for name in list(file):
                if isinstance(file[name], h5py.Dataset) and file[name].shape[0] == 20:
                    del file[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RunFileWarning)
        with pytest.raises(RunFileError, match=r"no iterations after warm-up \(0 comm"):
            layerledger.open(path)
        run = layerledger.open(path, warmup=True)
    assert list(run.layer.values) == ["conv1", "conv2", "fc1"]
    assert run.sizes.get("iteration", 0) == 0
    assert ("layer_time" in run) == has_arrays


def test_warnings_point_to_the_caller_and_may_be_errors(tmp_path):
    path = Synthetic(status="failed").write(tmp_path / "run.h5")
    with pytest.warns(RunFileWarning, match="the run failed") as caught:
        layerledger.open(path)
    assert [warning.filename for warning in caught] == [__file__]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(RunFileWarning, match="the run failed"):
            layerledger.open(path)


def test_a_newer_minor_schema_opens_with_what_it_added(path):
    with h5py.File(path, "r+") as file:
        file.attrs["schema_version"] = "1.7.2"
        file["novelty"] = np.zeros(2)
        file["novelty"].dims[0].attach_scale(file["rank"])
        file["constant"] = 2.5
        file.create_group("future")["fact"] = 3.5
    run = layerledger.open(path)
    assert run.novelty.dims == ("rank",) and float(run.constant) == 2.5
    assert list(layerledger.open_many([path, path]).data.constant.values) == [2.5, 2.5]
    with RunFile(path) as file:
        assert file.facts("future") == {"fact": 3.5}


def add_a_later_version(path):
    """A dimension, arrays along it, a level, an activity's shadow and groups that are not known."""
    with h5py.File(path, "r+") as file:
        file.attrs["schema_version"] = "1.9.0"
        file.attrs["level"] = "kernel"
        file.attrs["starts"] = np.int64(2)
        file["start"] = np.arange(2, dtype="i4")
        file["start"].make_scale("start")
        for name, dims, values in (
                ("start_time", "start", [0.0, 7.0]),
                ("start_reason", "start", ["first", "resumed"]),
                ("start_offset", "start rank", np.ones((2, 2))),
                ("start_bucket", "iteration rank start", np.full((20, 2, 2), np.nan, "f4"))):
            file[name] = values
            for axis, dim in enumerate(dims.split()):
                file[name].dims[axis].attach_scale(file[dim])
        group = file.create_group("clocks")
        group["moment"] = [1.0, 2.0, 3.0]
        group["moment"].make_scale("moment")
        group["bound"] = [1, 2, 3]
        group["bound"].dims[0].attach_scale(group["moment"])
    return path


def test_what_later_versions_add_is_no_hindrance(tmp_path):
    new = add_a_later_version(Synthetic(noise=0.01, title="new").write(tmp_path / "new.h5"))
    old = Synthetic(noise=0.01, seed=2, title="old").write(tmp_path / "old.h5")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        run = layerledger.open(new)
        runs = layerledger.open_many([old, new]).data
    assert run.start_offset.dims == ("start", "rank") and "start" in run.coords
    assert list(run.start_reason.values) == ["first", "resumed"]
    assert run.start_bucket.dims == ("iteration", "rank", "start")
    assert set(layerledger.open(new, variables=["loss"]).data_vars) == {"loss"}
    assert runs.start_time.sel(run="new", start=1) == 7
    assert runs.start_reason.sel(run="old", start=1) == ""
    for words in (["report", new], ["figures", new], ["compare", new, old, "--anyway"],):
        assert main([*map(str, words), "-o", str(tmp_path / "out")]) == 0


def test_attributes_of_one_run_are_not_given_to_others(tmp_path):
    paths = [Synthetic().write(tmp_path / name) for name in ("a.h5", "b.h5")]
    with h5py.File(paths[1], "r+") as file:
        file["iteration_start"].attrs["epoch_ns"] = np.int64(5)
    runs = layerledger.open_many(paths).data
    assert runs.iteration_start.attrs["units"] == "ns"
    assert "epoch_ns" not in runs.iteration_start.attrs
    assert layerledger.open_many(paths[:1] * 2).data.iteration_start.attrs["epoch_ns"] == 10**9


def test_what_a_version_added_is_needed_from_then_on(tmp_path):
    path = Synthetic().write(tmp_path / "run.h5")
    with h5py.File(path, "r+") as file:
        del file["estimated_memory"]
    with pytest.raises(RunFileError, match="the array estimated_memory is missing"):
        layerledger.open(path)
    with h5py.File(path, "r+") as file:
        file.attrs["schema_version"] = "1.0.0"
    assert "estimated_memory" not in layerledger.open(path)


def test_memory_is_in_the_tables_where_it_was_recorded():
    with RunFile(FIXTURES[1]) as run:
        assert (run.rank_table["peak_memory"] > 1e6).all()
        assert {"parameter_bytes", "gradient_bytes", "optimizer_bytes"} <= set(run.layer_table)


def add_kernels(path, layer=1):
    """Two layers' phases and the copies of one sampled iteration."""
    tables = {"samples": ("sample", {"iteration": [11], "rank": [0], "kernels": [9], "dropped": [0],
                                     "time": [900.0], "busy": [800.0], "mismatch": [0.5]}),
              "kernels": ("kernel", {"iteration": [11, 11], "rank": [0, 0], "layer": [0, layer],
                                     "phase": [0, 1], "count": [4, 5], "marked": [100.0, 50.0],
                                     "seen": [99.0, 50.5], "error": [1.0, -0.5], "busy": [90.0, 40.0],
                                     "idle": [10.0, 10.0], "beside": [0.0, 3.0]}),
              "copies": ("copy", {"iteration": [11], "rank": [0], "kind": [1], "count": [1],
                                  "bytes": [24], "time": [2.0], "hidden": [0.0]})}
    with h5py.File(path, "r+") as file:
        for group, (prefix, columns) in tables.items():
            for name, values in columns.items():
                file[f"{group}/{prefix}_{name}"] = values
            file[f"{group}/{prefix}_iteration"].make_scale(f"{prefix}_iteration")
            for name in set(columns) - {"iteration"}:
                file[f"{group}/{prefix}_{name}"].dims[0].attach_scale(
                    file[f"{group}/{prefix}_iteration"])
    return path


def test_what_ran_inside_the_layers_is_told_by_name(path):
    with RunFile(add_kernels(path)) as run:
        conv1, second = run.kernels.itertuples(index=False)
        assert (conv1.iteration, conv1.rank, conv1.layer, conv1.phase) == (11, 0, "conv1", "forward")
        assert (conv1.count, conv1.marked, conv1.error, conv1.busy, conv1.idle) == (4, 100, 1, 90, 10)
        assert (second.layer, second.phase, second.beside) == (run.layers[1], "backward", 3)
        (copy,) = run.copies.itertuples(index=False)
        assert (copy.kind, copy.count, copy.bytes, copy.time) == ("d2h", 1, 24, 2)
        (sample,) = run.samples.itertuples(index=False)
        assert (sample.iteration, sample.kernels, sample.dropped, sample.busy) == (11, 9, 0, 800)


def test_without_samples_the_tables_have_their_columns(path):
    with RunFile(path) as run:
        assert run.samples.empty and run.kernels.empty and run.copies.empty
        assert {"layer", "phase", "busy"} <= set(run.kernels) and "kind" in run.copies


def test_a_layer_that_is_not_there_is_damage(path):
    with (RunFile(add_kernels(path, layer=99)) as run,
          pytest.raises(RunFileError, match="damaged: there is no layer 99")):
        _ = run.kernels


def test_each_start_is_on_record():
    with RunFile(FIXTURES[2]) as run:
        first, second = run.starts.itertuples(index=False)
        assert (first.iteration, first.ranks, first.checkpoint) == (0, 2, "")
        assert (second.iteration, second.ranks) == (5, 2)
        assert second.checkpoint.endswith("checkpoint-000000000005.h5")
        assert second.cmdline.startswith("layerledger train") and second.hostlist == "vm vm"
        assert "layerledger=0.1.0\n" in second.versions
        assert run.missing_iterations == 0
    with RunFile(FIXTURES[1]) as run:
        assert run.starts.empty and run.missing_iterations == 0


def test_iterations_that_are_missing_are_told(tmp_path):
    copy = shutil.copy(FIXTURES[2], tmp_path / "run.h5")
    with h5py.File(copy, "r+") as file:
        file["iteration"][5:] = np.arange(8, 13)
        file.attrs["missing_iterations"] = 3
    with pytest.warns(RunFileWarning, match="3 iterations are missing"), RunFile(copy) as run:
        assert run.missing_iterations == 3


def test_many_runs_join_by_label(tmp_path):
    small = Synthetic(title="small")
    large = Synthetic(title="large", ranks=6, level="op", iterations=25,
                      layers=("fc1", "conv0", "conv1"), per_rank_batch=16)
    paths = [small.write(tmp_path / "a.h5"), large.write(tmp_path / "b.h5")]
    runs, _ = layerledger.open_many(paths)
    assert runs.layer_time.dims == ("run", "iteration", "rank", "layer", "phase")
    assert dict(runs.sizes) == {"run": 2, "iteration": 23, "rank": 6, "layer": 4, "phase": 3,
                                "activity": 9, "bucket": 2, "op": 6}
    assert list(runs.run.values) == ["small", "large"]
    assert list(runs.layer.values) == ["conv1", "conv2", "fc1", "conv0"]
    for name, path in zip(("small", "large"), paths, strict=True):
        alone = layerledger.open(path)
        part = runs.sel(run=name).sel(
            {dim: alone[dim].values for dim in ("iteration", "rank", "layer")})
        for variable in ("layer_time", "iteration_time", "loss", "layer_kind", "hostname"):
            np.testing.assert_array_equal(part[variable].values, alone[variable].values)
    assert np.isnan(runs.layer_time.sel(run="small", layer="conv0")).all()
    assert np.isnan(runs.layer_time.sel(run="small", rank=[2, 3, 4, 5])).all()
    assert np.isnan(runs.op_time.sel(run="small")).all()
    assert not np.isnan(runs.op_time.sel(run="large")).all()
    assert runs.layer_kind.sel(run="large", layer="conv2") == ""
    assert runs.bucket_bytes.dtype == np.int64  # both have all of it
    assert set(layerledger.open_many(paths, variables=["loss"]).data.data_vars) == {"loss"}
    assert layerledger.open_many(paths, warmup=True).data.sizes["iteration"] == 25


def test_many_runs_come_with_one_row_of_metadata_each(tmp_path):
    paths = [
        Synthetic(title="small", config={"experiment.seed": "7", "sync.bucket_mb": "1"},
                  overhead={"percent": 0.25, "pairs": 20}).write(tmp_path / "a.h5"),
        Synthetic(title="large", ranks=6, iterations=25, per_rank_batch=16).write(
            tmp_path / "b.h5")]
    table = layerledger.open_many(paths).metadata
    assert list(table.index) == ["small", "large"] and table.index.name == "run"
    assert list(table["path"]) == [str(path) for path in paths]
    assert list(table["ranks"]) == [2, 6] and list(table["hosts"]) == [1, 2]
    assert list(table["committed_iterations"]) == [20, 25]
    assert list(table["per_rank_batch"]) == [8, 16] and list(table["global_batch"]) == [16, 96]
    assert list(table["config.experiment.seed"]) == ["7", "1"]
    assert list(table["provenance.git"]) == ["0123456"] * 2
    assert table.loc["small", "overhead.percent"] == 0.25
    assert np.isnan(table.loc["large", "overhead.percent"])
    assert table["config.sync.bucket_mb"]["small"] == "1"
    assert layerledger.metadata(paths).equals(table)
    assert len(layerledger.metadata(paths[0])) == 1


def test_runs_of_one_title_are_told_apart(tmp_path):
    paths = [Synthetic().write(tmp_path / name) for name in ("a.h5", "b.h5")]
    assert list(layerledger.open_many(paths).data.run.values) == ["a", "b"]
    assert list(layerledger.open_many(paths[:1] * 2).data.run.values) == ["synthetic 0",
                                                                          "synthetic 1"]


@pytest.mark.parametrize("engine", ["h5netcdf", "netcdf4"])
def test_what_was_opened_can_be_written_as_netcdf(engine, path, tmp_path):
    run = layerledger.open(path)
    run.to_netcdf(tmp_path / "out.nc", engine=engine)
    with xarray.open_dataset(tmp_path / "out.nc", engine=engine) as back:
        np.testing.assert_array_equal(back.layer_time, run.layer_time)
    layerledger.open_many([path, path]).data.to_netcdf(tmp_path / "many.nc", engine=engine)


def test_there_is_a_kept_file_of_each_version():
    assert [path.stem for path in FIXTURES][:3] == ["run-1.0.0", "run-1.1.0", "run-1.2.0"]


@pytest.mark.parametrize("path", FIXTURES, ids=lambda path: path.stem)
def test_files_of_every_version_open_for_ever(path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        run = layerledger.open(path)
    assert run.attrs["schema_version"] == path.stem.removeprefix("run-")
    assert dict(run.sizes) | {"bucket": 1} == {
        "iteration": 6, "rank": 2, "layer": 5, "phase": 3, "activity": 9, "bucket": 1}
    account = (run.layer_time.sum(["layer", "phase"]) + run.activity_time.sum("activity")
               + run.unaccounted)
    np.testing.assert_allclose(account, run.iteration_time, rtol=1e-4)
    assert run.attrs["config.network.architecture"] == "lenet5"
    backward = run.layer_time.median(["iteration", "rank"]).sel(phase="backward").to_pandas()
    assert list(backward.index) == ["conv1", "conv2", "fc1", "fc2", "output"]
    assert (backward > 0).all()
    with xarray.open_dataset(path, engine="h5netcdf") as all_rows:
        assert dict(all_rows.sizes) == dict(layerledger.open(path, warmup=True).sizes)


def test_a_reader_that_holds_the_file_is_no_hindrance(path):
    with h5py.File(path), RunFile(path) as run:
        assert run.ranks == 2


def test_a_copy_elsewhere_reads_the_same(path, tmp_path):
    other = shutil.copy(path, tmp_path / "näme with blank.h5")
    assert layerledger.open(other).identical(layerledger.open(path).assign_attrs(path=str(other)))


@pytest.mark.parametrize("limit", [1, 200, 5000, 1 << 20])
@pytest.mark.parametrize("name", ["layer_time", "iteration_time", "loss", "iteration_start"])
def test_blocks_cover_each_number_once_in_whole_chunks(tmp_path, name, limit):
    made = Synthetic(ranks=7, iterations=37, noise=0.1, chunk_iterations=5, chunk_ranks=3)
    with RunFile(made.write(tmp_path / "run.h5")) as run:
        expected = run.read(name)
        seen = np.zeros(expected.shape, int)
        for rows, ranks, values in run.blocks(name, limit):
            where = (rows, ranks) if expected.ndim > 1 else rows
            np.testing.assert_array_equal(values, expected[where])
            seen[where] += 1
            assert rows.start % 5 == 0
            assert ranks.start % 3 == 0
            one_chunk = values[:5, :3] if expected.ndim > 1 else values[:5]
            assert values.nbytes <= max(limit, one_chunk.nbytes)
        assert (seen == 1).all()
        part = [block.rows for block in run.blocks(name, limit, rows=slice(7, 19))]
        assert (part[0].start, part[-1].stop) == (7, 19)


def test_tables_and_facts(tmp_path):
    path = Synthetic(level="op", config={"train.batch_size": "16"},
                     overhead={"percent": 0.25, "pairs": 20}).write(tmp_path / "run.h5")
    with RunFile(path) as run:
        assert run.layer_table.loc["conv2", "parameters"] == 2000
        assert run.layer_table.loc["conv1", "flops_backward"] == 2e8
        assert list(run.rank_table["local_rank"]) == [0, 1]
        assert list(run.bucket_table["layers"]) == ["fc1 conv2", "conv1"]
        assert list(run.op_table["layer"]) == [0, 0, 1, 1, 2, 2]
        assert run.config["train.batch_size"] == "16" and "text" not in run.config
        assert run.config_origin["train.batch_size"] == "default"
        assert run.overhead == {"percent": 0.25, "pairs": 20}
        assert run.validation == {} and run.provenance["mpi"].startswith("Open MPI")
        assert (run.ranks, run.buckets, run.global_batch) == (2, 2, 16)
