"""How the iterations change over the run: slow parts, single slow ones."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np

from ..dependence import median_error
from ..reductions import Reduction, mean
from ..runfile import RunFile
from .finding import FEW_ROWS, SLOWER, Finding, needed_errors, time_text

OUTLIER: Final = 1.5
"""An iteration that takes this many medians is an outlier."""


def drift(_: RunFile, reduction: Reduction) -> Iterator[Finding]:
    """Compares fifths of the run."""
    slowest = reduction.slowest
    if slowest.size < 5 * FEW_ROWS // 2:
        return
    fifths = np.array_split(slowest, 5)
    calm = np.concatenate([fifth - np.nanmedian(fifth) for fifth in fifths])  # without the drift
    error, worth = (float(value) for value in median_error(calm))
    error *= 5**0.5  # of a fifth of the rows
    needed = needed_errors(np.array(worth / 5), 2)
    for part, where, advice in (
        (0, "first", "it may still warm up: more profile.warmup leaves that out"),
        (4, "last", "clocks or temperature may have changed"),
    ):
        others = np.concatenate([fifth for i, fifth in enumerate(fifths) if i != part])
        ratio = float(np.nanmedian(fifths[part]) / np.nanmedian(others)) - 1
        if ratio > SLOWER and ratio * float(np.nanmedian(others)) > needed * error:
            yield Finding(
                "notice",
                f"The {where} fifth of the run is slower",
                f"Its median iteration takes {100 * ratio:.1f} % more than that of the rest; "
                f"{advice}.",
            )


def outliers(run: RunFile, reduction: Reduction) -> Iterator[Finding]:
    """Iterations that take far longer than usual, and what made the longest one long."""
    slowest = reduction.slowest
    typical = float(np.nanmedian(slowest))
    count = int(np.count_nonzero(slowest > OUTLIER * typical))
    if not count:
        return
    row = int(np.nanargmax(slowest))
    rank = int(np.nanargmax(reduction.own[row]))  # the others only wait for it
    file_row = int(reduction.rows[row])
    activity = run.read("activity_time", slice(file_row, file_row + 1))[0, rank]
    growth = {
        name: float(activity[i] - reduction.activity[rank, i])
        for i, name in enumerate(run.activities)
        if run.level != "off" and name != "allreduce_wait"  # which is for another rank
    }
    if reduction.layers is not None and reduction.unaccounted is not None:
        growth["the layers"] = float(reduction.layers[row, rank] - mean(reduction.layers[:, rank]))
        usual = mean(reduction.unaccounted[:, rank])
        growth["unaccounted time"] = float(reduction.unaccounted[row, rank] - usual)
    cause = max(growth, key=lambda name: np.nan_to_num(growth[name]), default="")
    why = ""
    others = slowest.size / max(1, slowest.size - 1)  # the means are of this iteration too
    if cause and growth[cause] > 0.2 * (float(slowest[row]) - typical):
        why = f": on rank {rank} {cause} took {time_text(others * growth[cause])} more than usual"
    yield Finding(
        "notice",
        f"{count} of {slowest.size} iterations take more than {OUTLIER} medians",
        f"The longest is iteration {reduction.iterations[row]} with {time_text(slowest[row])}, "
        f"{slowest[row] / typical:.1f} medians{why}.",
    )
