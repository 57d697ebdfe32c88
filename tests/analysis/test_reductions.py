"""What reductions make of files whose numbers are known."""

import numpy as np
import pytest

from layerledger import RunFile, RunFileError, reductions
from layerledger.histogram import Histograms
from synthetic import ACTIVITIES, Synthetic

QUANTILES = list(reductions.QUANTILES)


def reduce_file(made, path, **change):
    with RunFile(made.write(path, **change)) as run:
        return reductions.reduce_run(run)


def test_medians_and_means_are_those_of_the_iterations_that_count(tmp_path):
    made = Synthetic(ranks=3, iterations=20, warmup=3, noise=0.1, every=2, slow={(2, "conv2"): 1.5})
    reduced = reduce_file(made, tmp_path / "run.h5")
    rows = np.arange(4, 20, 2)
    np.testing.assert_array_equal(reduced.rows, rows)
    time = made.arrays()["layer_time"][rows]
    np.testing.assert_allclose(reduced.layer_median, np.median(time, 0), rtol=1e-6)
    np.testing.assert_allclose(reduced.layer_mean, time.mean(0), rtol=1e-6)
    np.testing.assert_allclose(reduced.layer_quantiles, np.quantile(time, QUANTILES, 0), rtol=1e-6)
    np.testing.assert_allclose(reduced.layers, time.sum((2, 3)), rtol=1e-6)
    np.testing.assert_allclose(reduced.layer_time, np.median(time, 0).mean(0), rtol=1e-6)
    np.testing.assert_allclose(reduced.slowest, made.arrays()["iteration_time"][rows].max(1))


def test_groups_of_ranks_make_no_difference(tmp_path, monkeypatch):
    made = Synthetic(ranks=11, iterations=30, noise=0.2, chunk_ranks=3, level="op")
    path = tmp_path / "run.h5"
    whole = reduce_file(made, path)
    monkeypatch.setattr(reductions, "GROUP_BYTES", 10_000)
    parts = reduce_file(made, path)
    for name in ("layer_quantiles", "layer_mean", "layers", "own", "activity", "op_median"):
        np.testing.assert_array_equal(getattr(parts, name), getattr(whole, name), err_msg=name)
    np.testing.assert_array_equal(parts.layer_histograms.of(3), whole.layer_histograms.of(3))
    np.testing.assert_allclose(parts.buckets.wait, whole.buckets.wait)


def test_own_time_leaves_out_the_all_reduce(tmp_path):
    made = Synthetic(slow={(1, "fc1"): 1.2}, transfer_us=70)
    reduced = reduce_file(made, tmp_path / "run.h5")
    arrays = made.arrays()
    wait, transfer = (ACTIVITIES.index(f"allreduce_{part}") for part in ("wait", "transfer"))
    activity = arrays["activity_time"]
    expected = arrays["iteration_time"] - activity[..., wait] - activity[..., transfer]
    np.testing.assert_allclose(reduced.own, expected[2:], rtol=1e-5)
    np.testing.assert_allclose(reduced.own[:, 1] - reduced.own[:, 0], 0.2 * 930, rtol=1e-3)


def test_a_buckets_life_is_split_at_the_end_of_backward(tmp_path):
    made = Synthetic(ranks=2, slow={(1, "conv1"): 1.5}, transfer_us=40, hidden_us=15)
    buckets = reduce_file(made, tmp_path / "run.h5").buckets
    # Bucket 0 (fc1 conv2) waits for rank 1's longer forward of conv1, all of it under backward.
    np.testing.assert_allclose(buckets.wait[0], 50 / 2, rtol=1e-3)
    np.testing.assert_allclose(buckets.hidden[0], 25 + 15, rtol=1e-3)
    np.testing.assert_allclose(buckets.exposed_transfer[0], 0, atol=1e-2)
    # Bucket 1 (conv1) becomes ready when backward ends: nothing of it is hidden.
    np.testing.assert_allclose(buckets.exposed_wait[1], (50 + 100) / 2, rtol=1e-3)
    np.testing.assert_allclose(buckets.exposed_transfer[1], 40, rtol=1e-3)
    np.testing.assert_allclose(buckets.hidden[1], 0, atol=1e-2)


def test_without_aligned_clocks_what_needs_them_is_absent(tmp_path):
    def unaligned(arrays):
        arrays["bucket_transfer"][:] = np.nan

    buckets = reduce_file(Synthetic(), tmp_path / "run.h5", change=unaligned).buckets
    for name in ("wait", "transfer", "hidden", "exposed_wait", "exposed_transfer"):
        assert np.isnan(getattr(buckets, name)).all(), name
    np.testing.assert_allclose(buckets.queue, 0, atol=1e-3)


def test_absent_phases_stay_absent_and_add_nothing(tmp_path):
    def without_update(arrays):
        arrays["layer_time"][:, :, 1, 2] = np.nan

    made = Synthetic()
    reduced = reduce_file(made, tmp_path / "run.h5", change=without_update)
    assert np.isnan(reduced.layer_median[:, 1, 2]).all()
    assert not np.isnan(reduced.layer_median[:, 0, 2]).any()
    np.testing.assert_allclose(reduced.layers, 310 * (1 + 2 + 3) - 20, rtol=1e-6)
    assert np.isnan(reduced.layer_histograms.quantiles(1 * 4 + 2, (0.5,))).all()
    total = reduced.layer_histograms.quantiles(1 * 4 + 3, (0.5,))
    np.testing.assert_allclose(total, 600, rtol=2e-3)


def test_below_level_layer_there_is_time_and_nothing_of_layers(tmp_path):
    off = reduce_file(Synthetic(level="off"), tmp_path / "off.h5")
    assert off.layers is None and off.buckets is None and off.rows.size == 18
    np.testing.assert_array_equal(off.own, off.iteration)
    coarse = reduce_file(Synthetic(level="iteration"), tmp_path / "iteration.h5")
    assert coarse.layers is None
    np.testing.assert_allclose(coarse.activity[0, ACTIVITIES.index("input_wait")], 20)


def test_no_iteration_after_warm_up_is_refused(tmp_path):
    with pytest.raises(RunFileError, match="no iterations after warm-up"):
        reduce_file(Synthetic(iterations=4, warmup=4), tmp_path / "run.h5")


def test_histograms_find_quantiles_to_their_bins_width():
    random = np.random.default_rng(1)
    values = random.lognormal(3, 1.5, (2, 20_000)).astype(np.float32)
    values[1, :19_000] = np.nan
    histograms = Histograms(2)
    histograms.add(values[:, :10_000])
    histograms.add(values[:, 10_000:])
    wanted = (0.05, 0.25, 0.5, 0.75, 0.95)
    for series, tolerance in ((0, 3e-3), (1, 2e-2)):  # few values lie far apart
        np.testing.assert_allclose(histograms.quantiles(series, wanted),
                                   np.nanquantile(values[series], wanted), rtol=tolerance)
    assert histograms.of(1).sum() == 1000
    edges = histograms.edges()
    assert (edges[1:] / edges[:-1]).max() < 1.002
    assert histograms.densities(0, 40, 1e-3, 1e6).sum() == pytest.approx(20_000)
