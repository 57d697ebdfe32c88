"""Intervals of medians of iterations, which are not independent of their neighbours.

The circular block bootstrap: a series is resampled in blocks of consecutive iterations, long enough
that what one iteration has in common with the next stays in. Blocks: H. R. Kuensch, "The jackknife
and the bootstrap for general stationary observations", Annals of Statistics 17 (1989). Around the
circle: D. N. Politis and J. P. Romano, "A circular block-resampling procedure for stationary data"
(1992), and on stationarity "The stationary bootstrap", JASA 89 (1994). The block's length is chosen
from the series' autocorrelation: D. N. Politis and H. White, "Automatic block-length selection for
the dependent bootstrap", Econometric Reviews 23 (2004), with the correction of A. Patton,
D. N. Politis and H. White, Econometric Reviews 28 (2009).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

LEVEL: Final = 0.95
LEAST_ROWS: Final = 10
"""Of fewer iterations nothing is claimed: their interval is NaN."""
_NUMBERS_AT_ONCE: Final = 4_000_000
_MOST_RESAMPLES: Final = 2000
_LEAST_RESAMPLES: Final = 400


class Interval(NamedTuple):
    """An estimate and the ends of its 95 % interval."""

    estimate: float
    low: float
    high: float


def block_length(series: Floats) -> int:
    """How many consecutive iterations a block has, from 1 to a third of the series [iteration]."""
    values = series[~np.isnan(series)]
    n = values.size
    if n < LEAST_ROWS or np.ptp(values) == 0:
        return 1
    centred = values - values.mean()
    spectrum = np.fft.rfft(centred, 2 * n)
    covariance = np.fft.irfft(spectrum * spectrum.conj())[:n] / n
    correlation = covariance / covariance[0]
    run = max(5, math.ceil(math.sqrt(math.log10(n))))
    most = min(n - 1, math.ceil(math.sqrt(n)) + run)
    small = np.abs(correlation[1 : most + 1]) < 2 * math.sqrt(math.log10(n) / n)
    # The first lag after which `run` lags in a row are insignificant.
    last = next(
        (lag for lag in range(most) if small[lag : lag + run].all()),
        int(np.flatnonzero(~small)[-1]) + 1 if not small.all() else 0,
    )
    width = min(2 * max(1, last), most)
    lags = np.arange(-width, width + 1)
    window = np.clip(2 * (1 - np.abs(lags) / width), 0, 1)  # flat, then falling
    weighted = window * covariance[np.abs(lags)]
    slope, variance = float((np.abs(lags) * weighted).sum()), float(weighted.sum())
    if variance <= 0:
        return 1
    length = (2 * slope**2 / (4 / 3 * variance**2)) ** (1 / 3) * n ** (1 / 3)
    return int(max(1, min(math.ceil(length), math.ceil(min(3 * math.sqrt(n), n / 3)))))


class Resampler:
    """Draws iterations of one run, in blocks; the same draws serve every column it is given.

    Args:
        series: [iteration], by which the block's length is chosen.
        seed: of the draws, so that a result comes again.
    """

    def __init__(self, series: Floats, seed: int) -> None:
        n = series.size
        self.length = block_length(series)
        self.rows = n
        resamples = max(_LEAST_RESAMPLES, min(_MOST_RESAMPLES, _NUMBERS_AT_ONCE // max(1, n)))
        random = np.random.default_rng(seed)
        blocks = math.ceil(n / self.length)
        self._starts = random.integers(0, max(1, n), (resamples, blocks), dtype=np.int32)

    def medians(self, values: Floats) -> Floats:
        """[resample]: medians of a column [iteration]; all NaN if it has too few numbers."""
        if (~np.isnan(values)).sum() < LEAST_ROWS:
            return np.full(len(self._starts), np.nan)
        middle = np.nanmedian if np.isnan(values).any() else np.median
        at_once = max(1, _NUMBERS_AT_ONCE // self.rows)
        pieces = [
            middle(values[self._rows_of(self._starts[first : first + at_once])], axis=1)
            for first in range(0, len(self._starts), at_once)
        ]
        return np.concatenate(pieces)

    def _rows_of(self, starts: NDArray[np.int32]) -> NDArray[np.int32]:
        """[resample, iteration]: which iterations make up each resample."""
        offsets = np.arange(self.length, dtype=np.int32)
        rows = (starts[:, :, None] + offsets).reshape(len(starts), -1)[:, : self.rows]
        return np.asarray(rows % self.rows)


def median(values: NDArray[Any]) -> float:
    """Of the numbers that are there; NaN of none."""
    present = values[~np.isnan(values)]
    return float(np.median(present)) if present.size else math.nan


def interval(estimate: float, samples: Floats) -> Interval:
    """The estimate with the central 95 % of its resamples."""
    if np.isnan(samples).any() or math.isnan(estimate):
        return Interval(estimate, math.nan, math.nan)
    low, high = np.quantile(samples, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(estimate, float(low), float(high))


def jointly(of_one: Interval, count: int) -> Interval:
    """The interval widened so that `count` of its kind hold their truths together in 95 % of cases.

    Bonferroni's bound, by the normal distribution's quantiles: resamples have no such far ones.
    """
    normal, tail = NormalDist(), (1 - LEVEL) / 2
    factor = normal.inv_cdf(1 - tail / max(1, count)) / normal.inv_cdf(1 - tail)
    middle, low, high = of_one
    return Interval(middle, middle - factor * (middle - low), middle + factor * (high - middle))


def paired(*samples: Floats) -> Sequence[Floats]:
    """Independent samples cut to one length, so that they can be computed with."""
    length = min(sample.size for sample in samples)
    return [sample[:length] for sample in samples]
