"""How well a median over iterations is known that depend on their neighbours.

Then many iterations tell less than they seem to.
"""

from __future__ import annotations

import warnings
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

BATCHES: Final = (20, 10, 5)
"""Into so many parts a run is cut to see how slowly its times fluctuate."""


def median_error(series: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Of a series [row, ...] the median's standard error, and how many rows it is worth.

    From the quartiles, as for normal deviations: outliers do not move a median.
    """
    factors = dependence(series)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of what is absent
        quantile = np.nanquantile if np.isnan(series).any() else np.quantile
        low, high = quantile(series, (0.25, 0.75), axis=0)
    rows = max(1, series.shape[0])
    error = 1.2533 * (high - low) / 1.349 / np.sqrt(rows)
    return np.asarray(factors * error), np.asarray(rows / factors**2)


def dependence(series: NDArray[Any]) -> NDArray[Any]:
    """[...]: how much larger standard errors are because iterations depend on their neighbours.

    Of a series [row, ...]. The means of parts of the run vary more than they would if rows were
    independent; outliers, which medians do not see, count no more than the 5th and 95th percentile.
    At least 1.
    """
    rows = series.shape[0]
    if not np.isnan(series).any():
        return _dependence(series, rows, np.quantile, np.mean, np.var)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of what is absent
        return _dependence(series, rows, np.nanquantile, np.nanmean, np.nanvar)


def _dependence(
    series: NDArray[Any], rows: int, quantile: Any, mean: Any, var: Any  # noqa: ANN401
) -> NDArray[Any]:  # fmt: skip
    low, high = quantile(series, (0.05, 0.95), axis=0)
    calm = np.clip(series, low, high)
    variance = var(calm, axis=0)
    factors = [np.ones(series.shape[1:])]
    for count in BATCHES:
        size = rows // count
        if size >= 2:
            parts = calm[: count * size].reshape(count, size, *series.shape[1:])
            of_means = var(mean(parts, axis=1), axis=0, ddof=1)
            with np.errstate(invalid="ignore", divide="ignore"):
                factors.append(np.sqrt(of_means * size / variance))
    return np.asarray(np.fmax.reduce(factors))
