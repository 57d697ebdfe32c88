"""A run as one row an iteration: the slowest rank's time, and means over the ranks of the rest."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .progress import Progress
from .runfile import RunFile

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Means:
    """Times in microseconds; what was not measured is NaN.

    Rows are the profiled iterations after warm-up, or all after warm-up where none was profiled.
    """

    iteration: NDArray[np.int64]
    """[row]: the iterations' numbers."""
    slowest: Floats
    """[row]: the largest iteration_time of the ranks, which is how long the iteration took."""
    mean: Floats
    """[row]: iteration_time, mean over ranks."""
    activity: Floats
    """[row, activity]: means over ranks."""
    layer: Floats
    """[row, layer, phase]: means over ranks; all NaN below level `layer`."""
    unaccounted: Floats
    """[row]: mean over ranks."""

    @property
    def layers(self) -> Floats:
        """[row, layer]: forward, backward and update together."""
        return _sum(self.layer, axis=2)

    @property
    def work(self) -> Floats:
        """[row]: all layers together."""
        return _sum(self.layers, axis=1)


def _sum(values: Floats, axis: int) -> Floats:
    """Sum of what is there; NaN where nothing is."""
    present = ~np.isnan(values)
    return np.where(present.any(axis=axis), np.where(present, values, 0).sum(axis=axis), np.nan)


def read_means(run: RunFile) -> Means:
    """Reduces a run file, piece by piece.

    Raises:
        RunFileError: there are no iterations after warm-up, or the file cannot be read.
    """
    rows = run.steady
    if run.profiled[rows].any():
        rows = rows[run.profiled[rows]]
    names = ["iteration_time", "activity_time", "unaccounted"]
    if run.has_layers:
        names.append("layer_time")
    progress = Progress(f"reading {run.path}", sum(run.block_bytes(name) for name in names))
    means = {name: _mean_over_ranks(run, name, progress)[rows] for name in names}
    progress.done()
    shape = (rows.size, len(run.layers), len(run.phases))
    return Means(
        iteration=run.read("iteration")[rows],
        slowest=_max_over_ranks(run)[rows],
        mean=means["iteration_time"],
        activity=means["activity_time"],
        layer=means.get("layer_time", np.full(shape, np.nan)),
        unaccounted=means["unaccounted"],
    )


def _mean_over_ranks(run: RunFile, name: str, progress: Progress) -> Floats:
    shape = run.shape(name)
    sums = np.zeros((shape[0], *shape[2:]))
    counts = np.zeros_like(sums)
    for rows, _, values in run.blocks(name):
        present = ~np.isnan(values)
        sums[rows] += np.where(present, values, 0).sum(axis=1, dtype=np.float64)
        counts[rows] += present.sum(axis=1)
        progress.advance(values.nbytes)
    return np.divide(sums, counts, out=np.full_like(sums, np.nan), where=counts > 0)


def _max_over_ranks(run: RunFile) -> Floats:
    largest = np.full(run.committed, -np.inf)
    for rows, _, values in run.blocks("iteration_time"):
        largest[rows] = np.fmax(largest[rows], np.fmax.reduce(values, axis=1))
    return np.where(np.isfinite(largest), largest, np.nan)
