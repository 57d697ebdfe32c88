"""Times against the iteration, for figures: per rank where ranks are few, else as quantiles."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from .progress import Progress
from .reductions import QUANTILES, quantiles
from .runfile import RunFile

MOST_RANKS: Final = 4
"""So many ranks have lines of their own; more are shown as a median and bands."""
MOST_POINTS: Final = 2000
"""More iterations than that are drawn as means of neighbours."""
BLOCK_BYTES: Final = 64 << 20


@dataclass(frozen=True)
class Series:
    """Values against the iteration.

    `data` is [row, line, ...] in the unit of what was read; a line is a rank, or with `is_band`
    one of QUANTILES over the ranks. Rows are all profiled iterations, warm-up included.
    """

    iterations: NDArray[np.int64]
    warmup: NDArray[np.bool_]
    data: NDArray[np.float32]
    is_band: bool
    ranks: int
    step: int = 1
    """How many neighbouring iterations each row is the mean of."""
    starts: tuple[int, ...] = ()
    """Iterations at which the run was started again."""

    @property
    def lines(self) -> list[str]:
        """Names of the lines, as in `rank 0` or `median over 512 ranks`."""
        if not self.is_band:
            return [f"rank {rank}" for rank in range(self.ranks)]
        return [f"{100 * q:.0f}th percentile of {self.ranks} ranks" for q in QUANTILES]

    def map(self, change: Callable[[NDArray[Any]], NDArray[Any]]) -> Series:
        """The same rows with other values."""
        return replace(self, data=change(self.data))

    def table(self, names: list[str], unit: str) -> pd.DataFrame:
        """One row an iteration and line, one column for each of `names`, which are the elements of
        the last dimension.
        """  # noqa: D205
        rows, lines = self.data.shape[:2]
        table = pd.DataFrame(
            {
                "iteration": np.repeat(self.iterations, lines),
                "warmup": np.repeat(self.warmup.astype(int), lines),
                "percentile" if self.is_band else "rank": np.tile(
                    [int(100 * q) for q in QUANTILES] if self.is_band else np.arange(lines), rows
                ),
            }
        )
        flat = self.data.reshape(rows * lines, -1)
        for i, name in enumerate(names):
            table[f"{name}_{unit}" if unit else name] = flat[:, i]
        return table


def read_series(
    run: RunFile, names: list[str], combine: Callable[..., NDArray[Any]], layers: bool = True
) -> Series:
    """What `combine` makes of some arrays, block by block.

    Args:
        run: the file.
        names: arrays over [iteration, rank, ...] that `combine` gets, in this order.
        combine: gives [iteration, rank, ...] in milliseconds or whatever is to be shown.
        layers: whether only profiled iterations have it.
    """
    keep = run.profiled if layers else np.ones(run.committed, bool)
    is_band = run.ranks > MOST_RANKS
    largest = max(names, key=run.block_bytes)
    progress = Progress(f"reading {run.path}", run.block_bytes(largest))
    row_bytes = max(1, run.block_bytes(largest) // max(1, run.committed))
    rows_at_once = max(1, BLOCK_BYTES // row_bytes)
    pieces = []
    for first in range(0, run.committed, rows_at_once):
        rows = slice(first, min(run.committed, first + rows_at_once))
        values = combine(*(run.read(name, rows) for name in names))[keep[rows]]
        pieces.append(np.moveaxis(quantiles(values, 1), 0, 1) if is_band else values)
        progress.advance((rows.stop - rows.start) * row_bytes)
    progress.done()
    series = Series(
        run.read("iteration")[keep],
        run.warmup[keep],
        np.concatenate(pieces).astype(np.float32),
        is_band,
        run.ranks,
        starts=later_starts(run),
    )
    return _thinned(series)


def later_starts(run: RunFile) -> tuple[int, ...]:
    """The first iteration of each start of the run but the first, as far as the file has any.

    A start from an older checkpoint has replaced what starts before it wrote of later iterations.
    """
    numbers = run.read("iteration")
    kept: list[int] = []
    for iteration in reversed(run.starts["iteration"].tolist()):
        if not kept or iteration < kept[0]:
            kept.insert(0, iteration)
    return tuple(i for i in kept if numbers.size and numbers[0] < i <= numbers[-1])


def _thinned(series: Series) -> Series:
    rows = series.iterations.size
    if rows <= MOST_POINTS:
        return series
    step = -(-rows // MOST_POINTS)
    starts = np.arange(0, rows, step)
    counts = np.diff(np.append(starts, rows))
    sums = np.add.reduceat(series.data, starts, axis=0, dtype=np.float64)
    means = sums / counts.reshape(-1, *[1] * (series.data.ndim - 1))
    return replace(
        series,
        iterations=series.iterations[starts],
        warmup=np.logical_or.reduceat(series.warmup, starts),
        data=means.astype(np.float32),
        step=step,
    )
