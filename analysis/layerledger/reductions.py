"""A run file boiled down to what figures and report show, one group of ranks after the other.

Memory is bounded by a group of ranks and by a few arrays over [iteration, rank]. All times are
microseconds; what is absent is NaN. "Row" is an iteration that counts: after warm-up and profiled.
"""

from __future__ import annotations

import warnings
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from .dependence import median_error
from .histogram import Histograms
from .progress import Progress
from .runfile import RunFile

Floats = NDArray[np.float32]
QUANTILES: Final = (0.05, 0.25, 0.5, 0.75, 0.95)
GROUP_BYTES: Final = 64 << 20
"""How much of an array is in memory at a time; a few copies of it are made."""

FEW_RANKS: Final = 16
_THREADS: Final = 2


@dataclass(frozen=True)
class Buckets:
    """How each gradient bucket travelled: means over rows and ranks, [bucket], microseconds.

    The four parts from `queue` on follow each other on the communication stream; hidden is what of
    wait and transfer lay before the end of the rank's backward pass.
    """

    queue: Floats
    """From ready to the rank's entry into the all-reduce."""
    wait: Floats
    """From there to the entry of the last rank."""
    transfer: Floats
    """From there to the sum's arrival."""
    hidden: Floats
    exposed_wait: Floats
    exposed_transfer: Floats


@dataclass(frozen=True)
class Reduction:
    """What is left of a run file. Arrays over layers are None below level `layer`."""

    rows: NDArray[np.intp]
    """[row]: its index in the file."""
    iterations: NDArray[np.int64]
    """[row]: its number."""
    iteration: Floats
    """[row, rank]: iteration_time."""
    own: Floats
    """[row, rank]: iteration_time without the all-reduce's exposed wait and transfer: what the rank
    took by itself. Equals `iteration` at level `off`."""
    activity: Floats
    """[rank, activity]: means."""
    activity_quantiles: Floats
    """[quantile, activity]: of the ranks' means."""
    allreduce_hidden: Floats
    """[rank]: means."""
    memcpy_hidden: Floats
    """[rank]: means."""
    unaccounted: Floats | None
    """[row, rank]."""
    layers: Floats | None
    """[row, rank]: sum of all layers and phases."""
    layer_mean: Floats | None
    """[rank, layer, phase]."""
    layer_quantiles: Floats | None
    """[quantile, rank, layer, phase]: over rows."""
    layer_error: Floats | None
    """[rank, layer]: standard error of how much longer the rank's median of the layer is than that
    of the other ranks. Where ranks are few it is from differences in the same iterations, which
    what all ranks have in common does not touch; else it is the rank's alone."""
    layer_worth: Floats | None
    """[rank, layer]: so many independent rows would give the same error."""
    layer_histograms: Histograms | None
    """Over rows and ranks: for each layer its three phases and their sum, [layer * 4 + 0 .. 3]."""
    op_median: Floats | None
    """[op, phase]: mean over ranks of medians over rows; None below level `op`."""
    buckets: Buckets | None

    @property
    def layer_median(self) -> Floats:
        """[rank, layer, phase]: medians over rows."""
        assert self.layer_quantiles is not None
        return np.asarray(self.layer_quantiles[QUANTILES.index(0.5)])

    @property
    def layer_time(self) -> Floats:
        """[layer, phase]: mean over ranks of medians over rows, as `layerledger summary` has it."""
        return np.asarray(mean(self.layer_median, 0))

    @property
    def slowest(self) -> Floats:
        """[row]: the iteration's time, which is that of its slowest rank."""
        with _absent_is_fine():
            return np.asarray(np.nanmax(self.iteration, axis=1))

    @property
    def unaccounted_percent(self) -> Floats:
        """[row]: |unaccounted| in percent of iteration_time, on the rank where it is most."""
        assert self.unaccounted is not None
        with _absent_is_fine():
            worst = np.nanmax(100 * np.abs(self.unaccounted) / self.iteration, axis=1)
        return np.asarray(worst)

    def is_typical(self) -> int:
        """The row whose time is nearest to the median."""
        slowest = self.slowest
        return int(np.nanargmin(np.abs(slowest - np.nanmedian(slowest))))


class _absent_is_fine(warnings.catch_warnings):  # noqa: N801  # reads as a word in `with`
    """Silences numpy about means and quantiles of nothing: they are NaN, as they should be."""

    def __enter__(self) -> None:
        super().__enter__()
        warnings.simplefilter("ignore", RuntimeWarning)


def mean(values: NDArray[Any], axis: int | tuple[int, ...] | None = None) -> Any:  # noqa: ANN401
    """Mean of what is there; NaN where nothing is."""
    with _absent_is_fine():
        return np.nanmean(values, axis=axis, dtype=np.float64)


def quantiles(values: NDArray[np.floating[Any]], axis: int = 0) -> NDArray[np.floating[Any]]:
    """[quantile, ...]: QUANTILES along an axis of what is there; NaN where nothing is."""
    with _absent_is_fine():
        return np.asarray(np.nanquantile(values, QUANTILES, axis=axis))


def counted_rows(run: RunFile) -> NDArray[np.intp]:
    """Rows after warm-up, and profiled unless nothing is (level `off`).

    Raises:
        RunFileError: there is none.
    """
    return run.steady if run.level == "off" else run.measured


def reduce_run(run: RunFile) -> Reduction:
    """Reads the file once and reduces it.

    Raises:
        RunFileError: there is no iteration that counts, or the file cannot be read.
    """
    rows = counted_rows(run)
    has_layers = run.has_layers
    names = ["iteration_time", "activity_time", "layer_time", "op_time"]
    progress = Progress(
        f"reading {run.path}", sum(run.block_bytes(name) for name in names if name in run)
    )
    try:
        return _reduce(run, rows, has_layers, progress)
    finally:
        progress.done()


def _reduce(
    run: RunFile, rows: NDArray[np.intp], has_layers: bool, progress: Progress
) -> Reduction:
    matrix = _matrix_reader(run, rows)
    iteration = matrix("iteration_time")
    progress.advance(run.block_bytes("iteration_time"))

    activity_mean = np.full((run.ranks, len(run.activities)), np.nan, np.float32)
    own = iteration.copy()
    exposed = [
        i
        for i, name in enumerate(run.activities)
        if name in ("allreduce_wait", "allreduce_transfer")
    ]
    for block in run.rank_blocks("activity_time", GROUP_BYTES):
        values = block.values[_as_slice(rows)]
        activity_mean[block.ranks] = mean(values, 0)
        own[:, block.ranks] -= np.nan_to_num(values[:, :, exposed]).sum(axis=2)
        progress.advance(block.values.nbytes)

    layers = _reduce_layers(run, rows, progress) if has_layers else {}
    return Reduction(
        rows=rows,
        iterations=run.read("iteration")[rows],
        iteration=iteration,
        own=own,
        activity=activity_mean,
        activity_quantiles=quantiles(activity_mean),
        allreduce_hidden=mean(matrix("allreduce_hidden"), 0),
        memcpy_hidden=mean(matrix("memcpy_hidden"), 0),
        unaccounted=matrix("unaccounted") if has_layers else None,
        layers=layers.get("layers"),
        layer_mean=layers.get("layer_mean"),
        layer_quantiles=layers.get("layer_quantiles"),
        layer_error=layers.get("layer_error"),
        layer_worth=layers.get("layer_worth"),
        layer_histograms=layers.get("layer_histograms"),
        op_median=_reduce_ops(run, rows, progress) if run.ops else None,
        buckets=_reduce_buckets(run, rows, layers["backward_end"])
        if has_layers and run.buckets
        else None,
    )


def _matrix_reader(run: RunFile, rows: NDArray[np.intp]) -> Any:  # noqa: ANN401
    def read(name: str) -> Floats:
        return np.asarray(run.read(name)[_as_slice(rows)], np.float32)

    return read


def _as_slice(rows: NDArray[np.intp]) -> slice | NDArray[np.intp]:
    """Rows without holes as a slice, which copies nothing."""
    if rows[-1] - rows[0] + 1 == rows.size:
        return slice(int(rows[0]), int(rows[-1]) + 1)
    return rows


def _reduce_layers(run: RunFile, rows: NDArray[np.intp], progress: Progress) -> dict[str, Any]:
    ranks, count = run.ranks, len(run.layers)
    reduced: dict[str, Any] = {
        "layers": np.empty((rows.size, ranks), np.float32),
        "layer_mean": np.empty((ranks, count, 3), np.float32),
        "layer_quantiles": np.empty((len(QUANTILES), ranks, count, 3), np.float32),
        "layer_error": np.empty((ranks, count), np.float32),
        "layer_worth": np.empty((ranks, count), np.float32),
        "layer_histograms": Histograms(count * 4),
        "backward_end": np.empty((rows.size, ranks), np.float32),
    }
    if 1 < ranks <= FEW_RANKS:
        reduced["totals"] = np.empty((rows.size, ranks, count), np.float32)
    backward = run.phases.index("backward")
    chosen = _as_slice(rows)
    times = run.rank_blocks("layer_time", GROUP_BYTES)
    starts = run.rank_blocks("layer_start", GROUP_BYTES)
    with ThreadPoolExecutor(_THREADS) as pool:
        for time, start in zip(times, starts, strict=True):
            values = time.values[chosen]
            with _absent_is_fine():
                end = np.nanmax(start.values[chosen][..., backward] + values[..., backward], axis=2)
            reduced["backward_end"][:, time.ranks] = end
            work = [
                pool.submit(_reduce_rank, values[:, i], time.ranks.start + i, reduced)
                for i in range(values.shape[1])
            ]
            for done in work:
                done.result()
            progress.advance(time.values.nbytes)
    if "totals" in reduced:
        errors = median_error(from_others(reduced["totals"]))
        reduced["layer_error"], reduced["layer_worth"] = errors
    return reduced


def from_others(values: NDArray[Any]) -> NDArray[Any]:
    """[row, rank, ...]: each rank's difference from the median of the others in the same row."""
    ranks = values.shape[1]
    if ranks > FEW_RANKS:  # one rank more or less does not move the median
        return np.asarray(values - np.median(values, axis=1, keepdims=True))
    return np.stack(
        [values[:, r] - np.median(np.delete(values, r, 1), axis=1) for r in range(ranks)], axis=1
    )


def _reduce_rank(values: Floats, rank: int, reduced: dict[str, Any]) -> None:
    """`values` is [row, layer, phase]; one rank's share of what `_reduce_layers` makes."""
    rows, count, phases = values.shape
    series = np.empty((count, phases + 1, rows), np.float32)  # each layer's phases and their sum
    series[:, :phases] = values.transpose(1, 2, 0)
    with _absent_is_fine():
        totals = np.nansum(series[:, :phases], axis=1)
        totals[np.isnan(series[:, :phases]).all(axis=1)] = np.nan
    series[:, phases] = totals
    reduced["layers"][:, rank] = np.nansum(totals, axis=0)
    if "totals" in reduced:
        reduced["totals"][:, rank] = totals.T
    else:
        reduced["layer_error"][rank], reduced["layer_worth"][rank] = median_error(totals.T)
    flat = series.reshape(-1, rows)
    reduced["layer_histograms"].add(flat)
    flat.sort(axis=1)  # NaN goes last
    reduced["layer_mean"][rank] = mean(series[:, :phases], 2)
    reduced["layer_quantiles"][:, rank] = _sorted_quantiles(flat).reshape(-1, count, phases + 1)[
        ..., :phases
    ]


def _sorted_quantiles(series: Floats) -> Floats:
    """[quantile, series] of rows sorted with NaN last; linear between neighbours."""
    present = np.count_nonzero(~np.isnan(series), axis=1)
    last = np.maximum(present - 1, 0)
    which = np.arange(series.shape[0])
    found = np.empty((len(QUANTILES), series.shape[0]), np.float32)
    for i, quantile in enumerate(QUANTILES):
        position = quantile * last
        low = np.floor(position).astype(np.intp)
        high = np.minimum(low + 1, last)
        below, above = series[which, low], series[which, high]
        found[i] = below + (position - low) * (above - below)
    return found


def _reduce_ops(run: RunFile, rows: NDArray[np.intp], progress: Progress) -> Floats:
    medians = np.empty((run.ranks, len(run.ops), 3), np.float32)
    for block in run.rank_blocks("op_time", GROUP_BYTES):
        values = block.values[_as_slice(rows)]
        series = np.ascontiguousarray(np.moveaxis(values, 0, -1))
        flat = series.reshape(-1, rows.size)
        flat.sort(axis=1)
        middle = _sorted_quantiles(flat)[QUANTILES.index(0.5)]
        medians[block.ranks] = middle.reshape(values.shape[1:])
        progress.advance(block.values.nbytes)
    return np.asarray(mean(medians, 0), np.float32)


def _reduce_buckets(run: RunFile, rows: NDArray[np.intp], backward_end: Floats) -> Buckets:
    names = ("bucket_ready", "bucket_start", "bucket_transfer", "bucket_end")
    parts = {name: np.zeros(run.buckets) for name in Buckets.__annotations__}
    counted = {name: np.zeros(run.buckets) for name in parts}
    for blocks in zip(*(run.rank_blocks(name, GROUP_BYTES) for name in names), strict=True):
        ready, start, transfer, end = (block.values[_as_slice(rows)] for block in blocks)
        join = backward_end[:, blocks[0].ranks, None]
        exposed_wait = np.maximum(0, transfer - np.maximum(start, join))
        exposed_transfer = np.maximum(0, end - np.maximum(transfer, join))
        for name, values in {
            "queue": start - ready,
            "wait": transfer - start,
            "transfer": end - transfer,
            "hidden": end - start - exposed_wait - exposed_transfer,
            "exposed_wait": exposed_wait,
            "exposed_transfer": exposed_transfer,
        }.items():
            parts[name] += np.nansum(values, axis=(0, 1), dtype=np.float64)
            counted[name] += np.count_nonzero(~np.isnan(values), axis=(0, 1))
    with _absent_is_fine(), np.errstate(invalid="ignore"):
        return Buckets(**{name: sums / counted[name] for name, sums in parts.items()})
