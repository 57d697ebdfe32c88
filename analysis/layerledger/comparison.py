"""How run B differs from run A: the iteration, each layer and phase, and each activity."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from . import bootstrap
from .errors import RunFileError
from .likeness import differences
from .means import Means, read_means
from .progress import Progress
from .runfile import RunFile

WORDS: Final = ("same", "faster", "slower", "unclear")
COLUMNS: Final = (
    "kind", "name", "a_us", "b_us", "difference_us", "low_us", "high_us",
    "difference_percent", "low_percent", "high_percent",
)  # fmt: skip
SAME_RECORDING: Final = "A and B are the same recording: nothing differs"
_NETWORK: Final = ("name", "classes", "image", "parameters")


@dataclass(frozen=True)
class Comparison:
    """How B differs.

    `table` has a row for the iteration, all layers, each layer, each phase of each layer, and each
    activity: COLUMNS and `word`, one of WORDS. a_us and b_us are medians over iterations, of the
    slowest rank's time for the iteration and of the mean over ranks for the rest. Differences are
    B - A, in microseconds and in percent of A's time, of activities in percent of A's iteration,
    as an activity may take no time at all. Both have the ends of their 95 % intervals: those of
    one kind hold together, or among sixty layers three would differ by chance.
    """

    table: pd.DataFrame
    notes: list[str]
    """What a reader should know, in words."""


def word(low: float, high: float, margin: float) -> str:
    """What the interval of a difference says, all in percent.

    Args:
        low: its lower end; NaN if nothing is known.
        high: its upper end.
        margin: differences up to this do not matter.

    Returns:
        "same" if all of the interval lies within +-margin, else "slower" or "faster" if all of it
        lies on one side of 0, else "unclear".
    """
    if math.isnan(low) or math.isnan(high):
        return "unclear"
    if -margin <= low and high <= margin:
        return "same"
    return "slower" if low > 0 else "faster" if high < 0 else "unclear"


def unlike(a: RunFile, b: RunFile) -> list[str]:
    """What makes two runs' times incomparable, each with both values; empty if nothing does."""
    found = [
        f"network.{key} ('{a.network.get(key)}' and '{b.network.get(key)}')"
        for key in _NETWORK
        if a.network.get(key) != b.network.get(key)
    ]
    if not found and a.layers != b.layers:
        only = [
            f"{', '.join(set_of)} only in {name}"
            for name, set_of in (
                ("A", [layer for layer in a.layers if layer not in b.layers]),
                ("B", [layer for layer in b.layers if layer not in a.layers]),
            )
            if set_of
        ]
        found.append(f"layers ({'; '.join(only) or 'in another order'})")
    if a.ranks != b.ranks:
        found.append(f"ranks ({a.ranks} and {b.ranks})")
    if a.per_rank_batch != b.per_rank_batch:
        found.append(f"batch size per rank ({a.per_rank_batch} and {b.per_rank_batch})")
    return found


def compare(
    a: RunFile, b: RunFile, *, margin: float = 1, seed: int = 1, anyway: bool = False
) -> Comparison:
    """Compares run B with run A. Layers are matched by name.

    Memory is bounded by a block of ranks and by [iteration, layer, phase] of each run.

    Args:
        a: what B is held against.
        b: the run in question.
        margin: differences up to so many percent do not matter.
        seed: of the resampling.
        anyway: compare what is shared, where networks, ranks or batch sizes differ.

    Raises:
        RunFileError: a run has no iterations after warm-up, or the two do not compare.
    """
    unequal = unlike(a, b)
    if unequal and not anyway:
        raise RunFileError(
            b.path,
            f"does not compare with {a.path}: they differ in {'; '.join(unequal)} "
            "(--anyway compares what they share)",
        )
    means_a, means_b = read_means(a), read_means(b)
    columns_a, columns_b = _columns(a, means_a), _columns(b, means_b)
    shared = [key for key in columns_a if key in columns_b]
    # The noise of one recording is no difference from itself.
    is_itself = columns_a.keys() == columns_b.keys() and all(
        np.array_equal(columns_a[key], columns_b[key], equal_nan=True) for key in shared
    )
    whole = bootstrap.median(means_a.slowest)
    alike = Counter(kind for kind, _ in shared)
    progress = Progress("resampling", len(shared))
    rows = []
    for kind, name in shared:
        base = whole if kind == "activity" else bootstrap.median(columns_a[kind, name])
        if is_itself:
            row = _no_difference(columns_a[kind, name])
        else:
            row = _difference(columns_a[kind, name], columns_b[kind, name], base, seed, alike[kind])
        progress.advance(1)
        if row is not None:
            rows.append((kind, name, *row))
    progress.done()
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    table["word"] = [
        word(low, high, margin)
        for low, high in zip(table["low_percent"], table["high_percent"], strict=True)
    ]
    notes = _notes(a, b, unequal)
    notes += [SAME_RECORDING] if is_itself else _notes_on_intervals(means_a, means_b)
    return Comparison(table, notes)


def _difference(
    of_a: NDArray[np.float64], of_b: NDArray[np.float64], base_us: float, seed: int, alike: int
) -> tuple[float, ...] | None:
    """COLUMNS from a_us on, of columns [iteration] of two runs; None where one has no numbers.

    Percentages are of `base_us`, which is resampled too where it is A's own time. `alike` columns
    are judged together.
    """
    at_a, at_b = bootstrap.median(of_a), bootstrap.median(of_b)
    if math.isnan(at_a) or math.isnan(at_b):
        return None
    samples_a, samples_b = bootstrap.paired(
        bootstrap.Resampler(of_a, seed).medians(of_a),
        bootstrap.Resampler(of_b, seed + 1).medians(of_b),
    )
    times = bootstrap.interval(at_b - at_a, samples_b - samples_a)
    if base_us == at_a and (samples_a > 0).all():
        percent = bootstrap.interval(100 * (at_b / at_a - 1), 100 * (samples_b / samples_a - 1))
    elif base_us > 0:
        percent = bootstrap.Interval(*(100 * end / base_us for end in times))
    else:
        percent = bootstrap.Interval(math.nan, math.nan, math.nan)
    return (at_a, at_b, *bootstrap.jointly(times, alike), *bootstrap.jointly(percent, alike))


def _no_difference(of_both: NDArray[np.float64]) -> tuple[float, ...] | None:
    """The same of a column that two runs share number for number."""
    at = bootstrap.median(of_both)
    return None if math.isnan(at) else (at, at, *[0.0] * 6)


def _columns(run: RunFile, means: Means) -> dict[tuple[str, str], NDArray[np.float64]]:
    """[iteration] each, by kind and name."""
    columns = {("iteration", "iteration"): means.slowest}
    if run.has_layers:
        columns["layer", "all layers"] = means.work
        for i, layer in enumerate(run.layers):
            columns["layer", layer] = means.layers[:, i]
        for i, layer in enumerate(run.layers):
            for j, phase in enumerate(run.phases):
                columns["phase", f"{layer} {phase}"] = means.layer[:, i, j]
    if run.level != "off":
        for i, activity in enumerate(run.activities):
            columns["activity", activity] = means.activity[:, i]
    if run.has_layers:
        columns["activity", "unaccounted"] = means.unaccounted
    return columns


def _notes(a: RunFile, b: RunFile, unequal: list[str]) -> list[str]:
    notes = []
    if unequal:
        notes.append(f"the runs do not compare: they differ in {'; '.join(unequal)}")
    if a.level != b.level:
        notes.append(
            f"recorded at other levels (A '{a.level}', B '{b.level}'): what both have is compared, "
            "and recording costs time itself"
        )
    elif not a.has_layers:
        notes.append(f"recorded at level '{a.level}': there are no layers to compare")
    named = {"layers", "level", "config.profile.level", *(f"network.{key}" for key in _NETWORK)}
    found = [str(each) for each in differences([a, b]) if each.key not in named]
    if found:
        notes.append(f"the runs also differ in {'; '.join(found)}")
    return notes


def _notes_on_intervals(of_a: Means, of_b: Means) -> list[str]:
    notes = []
    for name, means in (("A", of_a), ("B", of_b)):
        rows, length = means.slowest.size, bootstrap.block_length(means.slowest)
        if rows < bootstrap.LEAST_ROWS:
            notes.append(f"{name} has {rows} iterations after warm-up: too few to tell")
        elif rows < 5 * length:
            notes.append(
                f"iterations of {name} depend on each other over {length} of its {rows}: "
                "its interval is too narrow, train longer"
            )
    notes.append(
        "intervals are of 95 %, for all rows of a kind together; they cover what varies within a "
        "run, not from one start to the next"
    )
    return notes
