"""`open`, `open_many` and `metadata`, on files whose numbers are known and on kept ones."""

import pathlib
import warnings

import h5py
import numpy as np
import pytest
from synthetic import Synthetic

import layerledger

FIXTURES = sorted((pathlib.Path(__file__).parent / "fixtures").glob("run-*.h5"))


def test_labels_units_and_numbers(tmp_path):
    made = Synthetic(level="op", noise=0.1)
    with layerledger.open(made.write(tmp_path / "run.h5")) as run:
        assert dict(run.sizes) == {"iteration": 18, "rank": 2, "layer": 3, "phase": 3,
                                   "activity": 9, "bucket": 2, "op": 6}
        assert run.attrs["warmup_dropped"] == 2 and run.attrs["config.train.batch_size"] == "8"
        assert run.layer_time.attrs["units"] == "us"
        assert list(run.layer.values) == ["conv1", "conv2", "fc1"]
        for name, expected in made.arrays().items():
            np.testing.assert_array_equal(
                run[name].values, expected.astype(run[name].dtype)[2:], err_msg=name)
        assert list(run.layer_time.coords["hostname"].values) == ["node0", "node0"]


def test_warmup_can_be_kept(tmp_path):
    with layerledger.open(Synthetic().write(tmp_path / "run.h5"), warmup=True) as run:
        assert run.sizes["iteration"] == 20 and run.attrs["warmup_dropped"] == 0
        assert list(np.flatnonzero(run.warmup.values)) == [0, 1]


def test_arrays_are_read_when_looked_at(tmp_path):
    made = Synthetic(ranks=4, chunk_ranks=2, noise=0.1)
    expected = made.arrays()["layer_time"].astype("f4")[2:]
    with layerledger.open(made.write(tmp_path / "run.h5")) as run:
        assert not run.layer_time.variable._in_memory
        for key in [np.s_[3], np.s_[::-1], np.s_[1:9:3, ::-2], np.s_[:, -1], np.s_[-4:-1, 1:3, 0],
                    np.s_[5:5]]:
            np.testing.assert_array_equal(run.layer_time[key].values, expected[key])
        np.testing.assert_array_equal(
            run.layer_time.isel(rank=[3, 0, 3], layer=[2, 0]).values,
            expected[:, [3, 0, 3]][:, :, [2, 0]])
        assert not run.layer_time.variable._in_memory


def test_uncommitted_rows_are_never_shown(tmp_path):
    path = Synthetic(status="running").write(tmp_path / "run.h5")
    with h5py.File(path, "r+") as file:
        file.attrs["committed_iterations"] = 15
    with (pytest.warns(layerledger.RunFileWarning, match="its 15 committed iterations"),
          layerledger.open(path) as run):
        assert run.sizes["iteration"] == 13 and run.layer_time.shape[0] == 13
        assert run.iteration_time[-1].values.shape == (2,)
        assert int(run.layer_time[-1].iteration) == 14


def test_many_runs_join_by_label_with_their_metadata(tmp_path):
    small = Synthetic(title="small", config={"experiment.seed": "7"})
    large = Synthetic(title="large", ranks=6, level="op", iterations=25,
                      layers=("fc1", "conv0", "conv1"), per_rank_batch=16)
    paths = [small.write(tmp_path / "a.h5"), large.write(tmp_path / "b.h5")]
    runs = layerledger.open_many(paths)
    assert list(runs.title.values) == ["small", "large"] and list(runs.hosts.values) == [1, 2]
    assert list(runs.ranks.values) == [2, 6]
    assert list(runs["config.experiment.seed"].values) == ["7", "1"]
    assert runs.layer_time.dims == ("run", "iteration", "rank", "layer", "phase")
    assert runs.sizes["rank"] == 6 and runs.sizes["iteration"] == 23
    assert list(runs.layer.values) == ["conv1", "conv2", "fc1", "conv0"]
    for number, made in enumerate((small, large)):
        ours = runs.layer_time.sel(run=number, layer=list(made.layers))
        expected = made.arrays()["layer_time"].astype("f4")[2:]
        np.testing.assert_array_equal(
            ours[:len(expected), :made.ranks].values, expected)
        assert np.isnan(ours[len(expected):]).all() and np.isnan(ours[:, made.ranks:]).all()
    assert np.isnan(runs.op_time.sel(run=0)).all() and not np.isnan(runs.op_time.sel(run=1)).all()
    table = layerledger.metadata(paths)
    assert list(table["iterations"]) == [20, 25] and list(table["per_rank_batch"]) == [8, 16]
    assert table["provenance.git"][0] == "0123456"


def test_no_runs_are_refused():
    with pytest.raises(layerledger.AnalysisError, match="no run files were given"):
        layerledger.open_many([])


@pytest.mark.parametrize("path", FIXTURES, ids=lambda path: path.stem)
def test_files_of_every_version_open_for_ever(path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with layerledger.open(path) as run:
            assert run.attrs["schema_version"] == path.stem.removeprefix("run-")
            assert dict(run.sizes) | {"bucket": 1} == {
                "iteration": 6, "rank": 2, "layer": 5, "phase": 3, "activity": 9, "bucket": 1}
            account = (run.layer_time.sum(["layer", "phase"]) + run.activity_time.sum("activity")
                       + run.unaccounted)
            np.testing.assert_allclose(account, run.iteration_time, rtol=1e-4)
            assert run.attrs["config.network.architecture"] == "lenet5"


def test_a_version_is_kept():
    assert "run-1.0.0" in [path.stem for path in FIXTURES]


@pytest.mark.parametrize("engine", ["h5netcdf", "netcdf4"])
def test_what_was_opened_can_be_written_as_netcdf(engine, tmp_path):
    xarray = pytest.importorskip("xarray")
    path = Synthetic().write(tmp_path / "run.h5")
    with layerledger.open(path) as run:
        run.to_netcdf(tmp_path / "out.nc", engine=engine)
        with xarray.open_dataset(tmp_path / "out.nc", engine=engine) as back:
            np.testing.assert_array_equal(back.layer_time, run.layer_time)
    layerledger.open_many([path, path]).to_netcdf(tmp_path / "many.nc", engine=engine)


def test_a_run_killed_before_its_first_commit_opens_only_with_warmup(tmp_path):
    path = Synthetic(status="running").write(tmp_path / "run.h5")
    with h5py.File(path, "r+") as file:
        file.attrs["committed_iterations"] = 0
    with pytest.warns(layerledger.RunFileWarning, match="its 0 committed"):
        with pytest.raises(layerledger.RunFileError, match=r"no iterations after warm-up \(0 comm"):
            layerledger.open(path)
        with layerledger.open(path, warmup=True) as run:
            assert run.sizes["iteration"] == 0 and run.layer_time.values.size == 0
