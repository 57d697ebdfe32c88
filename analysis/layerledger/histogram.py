"""Histograms of many series at once, with bins as fine as 0.2 % of their value."""

from __future__ import annotations

import threading
from typing import Final

import numpy as np
from numpy.typing import NDArray

_BITS: Final = 9  # of the mantissa: 512 bins an octave
_SHIFT: Final = 23 - _BITS
_LOWEST: Final = (127 - 10) << _BITS  # 2^-10 us, about a nanosecond
_OCTAVES: Final = 44
_BINS: Final = _OCTAVES << _BITS


class Histograms:
    """Counts of float32 values in logarithmic bins, for each of several series.

    The bin is made of the upper bits of a value's binary form (as in Tene's HdrHistogram): 512 bins
    an octave, from 2^-10 to 2^34 of the unit. Smaller values fall into the first bin.
    """

    def __init__(self, series: int) -> None:
        self._counts = np.zeros((series, _BINS), np.int32)
        self._lock = threading.Lock()

    def add(self, values: NDArray[np.float32]) -> None:
        """Counts values [series, any number]; NaN counts nowhere. Several threads may add."""
        bits = np.ascontiguousarray(values).view(np.int32) >> _SHIFT
        bits -= _LOWEST
        present = ~np.isnan(values)
        for i in range(values.shape[0]):
            some = bits[i][present[i]]
            if some.size == 0:
                continue
            np.clip(some, 0, _BINS - 1, out=some)
            first = int(some.min())
            counts = np.bincount(some - first)
            with self._lock:
                self._counts[i, first : first + counts.size] += counts.astype(np.int32)

    @staticmethod
    def edges() -> NDArray[np.float64]:
        """[bin + 1]: the bins' edges."""
        bits = (np.arange(_BINS + 1, dtype=np.int64) + _LOWEST) << _SHIFT
        return bits.astype(np.int32).view(np.float32).astype(np.float64)

    def of(self, series: int) -> NDArray[np.int32]:
        """[bin]: one series' counts."""
        return np.asarray(self._counts[series])

    def quantiles(self, series: int, of: tuple[float, ...]) -> NDArray[np.float64]:
        """Quantiles of one series, to the width of a bin; NaN where it is empty."""
        counts = self._counts[series]
        total = int(counts.sum())
        if total == 0:
            return np.full(len(of), np.nan)
        used = np.flatnonzero(counts)
        reached = np.cumsum(counts[used])
        edges = self.edges()
        found = []
        for quantile in of:
            wanted = quantile * (total - 1) + 0.5
            i = min(int(np.searchsorted(reached, wanted)), used.size - 1)
            before = reached[i - 1] if i else 0
            share = (wanted - before) / counts[used[i]]
            found.append(edges[used[i]] + share * (edges[used[i] + 1] - edges[used[i]]))
        return np.array(found)

    def densities(
        self, series: int, most_bins: int, low: float, high: float
    ) -> NDArray[np.float64]:
        """[bin]: how many values lie in each of some bins between two values, equal in ratio.

        Fewer values make fewer bins (Rice's rule, twice the cubic root). A fine bin is spread
        evenly over the coarse ones that it touches.
        """
        counts = self._counts[series]
        total = int(counts.sum())
        bins = int(np.clip(2 * np.cbrt(total), 6, most_bins))
        cumulated = np.concatenate(([0], np.cumsum(counts)))
        at = np.interp(np.geomspace(low, high, bins + 1), self.edges(), cumulated)
        return np.asarray(np.diff(at))
