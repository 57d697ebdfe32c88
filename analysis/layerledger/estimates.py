"""How well a median time is known, from repetitions or from one run, and a ratio of two of them.

Of several runs the interval is Student's over the runs' medians. It holds what varies within a run
and what varies from one start to the next, in whatever proportion, as each run's median has both.
Resampling runs instead would give intervals far too narrow: two runs have but three resamples.
The ratio of two times adds their variances (B. L. Welch, "The generalization of 'Student's' problem
when several different population variances are involved", Biometrika 34, 1947).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Final

import numpy as np

from .bootstrap import LEVEL, Floats, Interval, Resampler, median

_MOST_FREEDOM: Final = 1e4
"""With more degrees of freedom the distribution is the normal one."""
_STEPS: Final = 20001


@dataclass(frozen=True)
class Estimate:
    """A time, and how well it is known."""

    value: float
    error: float
    """Standard error as a share of the value; NaN where nothing is claimed."""
    freedom: float
    """Degrees of freedom of the error."""

    @property
    def interval(self) -> Interval:
        """The value with its 95 % interval."""
        return ratio(self, EXACT)


EXACT: Final = Estimate(1.0, 0.0, math.inf)


def of_repetitions(medians: Sequence[float]) -> Estimate:
    """The mean of at least two runs' medians."""
    values = np.asarray(medians, np.float64)
    value = float(values.mean())
    if not value > 0:
        return Estimate(value, math.nan, math.nan)
    error = float(values.std(ddof=1)) / math.sqrt(values.size) / value
    return Estimate(value, error, values.size - 1)


def of_one_run(series: Floats, seed: int) -> Estimate:
    """The median of a column [iteration]; its error is that of resampled blocks of iterations.

    It does not hold what varies from one start to the next. Every block counts as one observation.
    """
    value = median(series)
    if not value > 0:
        return Estimate(value, math.nan, math.nan)
    draws = Resampler(series, seed)
    error = float(draws.medians(series).std(ddof=1)) / value
    return Estimate(value, error, max(1.0, series.size / draws.length - 1))


def ratio(upper: Estimate, lower: Estimate, scale: float = 1.0) -> Interval:
    """Of `scale` * upper / lower: the value with its 95 % interval, on a logarithmic scale."""
    if lower.value == 0:
        return Interval(math.nan, math.nan, math.nan)
    value = scale * upper.value / lower.value
    variances = upper.error**2, lower.error**2
    variance = sum(variances)
    if math.isnan(variance):
        return Interval(value, math.nan, math.nan)
    if variance == 0:
        return Interval(value, value, value)
    freedom = variance**2 / sum(
        part**2 / each.freedom for part, each in zip(variances, (upper, lower), strict=True)
    )
    factor = math.exp(student(freedom) * math.sqrt(variance))
    return Interval(value, value / factor, value * factor)


def student(freedom: float, level: float = LEVEL) -> float:
    """How many standard errors hold `level` of Student's distribution, on both sides together.

    With t = sqrt(freedom) * tan(angle) the density over the angle is cos(angle) ** (freedom - 1).
    """
    if freedom > _MOST_FREEDOM:
        return NormalDist().inv_cdf((1 + level) / 2)
    angles = np.linspace(0, math.pi / 2, _STEPS)
    density = np.clip(np.cos(angles), 0, 1) ** (freedom - 1)
    within = np.concatenate([[0], np.cumsum(density[1:] + density[:-1])])
    angle = float(np.interp(level, within / within[-1], angles))
    return math.sqrt(freedom) * math.tan(angle)
