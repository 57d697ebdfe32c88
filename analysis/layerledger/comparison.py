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
_NETWORK: Final = ("name", "classes", "image", "parameters")


@dataclass(frozen=True)
class Comparison:
    """How B differs.

    `table` has a row for the iteration, all layers, each layer, each phase of each layer, and each
    activity: COLUMNS and `word`, one of WORDS. a_us and b_us are medians over iterations, of the
    slowest rank's time for the iteration and of the mean over ranks for the rest. Differences are
    B - A, in microseconds and in percent of A, with the ends of their 95 % intervals: those of one
    kind hold together, or among sixty layers three would differ by chance.
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
    alike = Counter(kind for kind, _ in shared)
    progress = Progress("resampling", len(shared))
    rows = []
    for kind, name in shared:
        row = _difference(columns_a[kind, name], columns_b[kind, name], seed, alike[kind])
        progress.advance(1)
        if row is not None:
            rows.append((kind, name, *row))
    progress.done()
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    whole = float(table["a_us"].iloc[0])
    table["word"] = [_word_of(row, whole, margin) for _, row in table.iterrows()]
    return Comparison(table, _notes(a, b, unequal, means_a, means_b))


def _difference(
    of_a: NDArray[np.float64], of_b: NDArray[np.float64], seed: int, alike: int
) -> tuple[float, ...] | None:
    """COLUMNS from a_us on, of columns [iteration] of two runs; None where one has no numbers.

    `alike` columns are judged together.
    """
    at_a, at_b = bootstrap.median(of_a), bootstrap.median(of_b)
    if math.isnan(at_a) or math.isnan(at_b):
        return None
    samples_a, samples_b = bootstrap.paired(
        bootstrap.Resampler(of_a, seed).medians(of_a),
        bootstrap.Resampler(of_b, seed + 1).medians(of_b),
    )
    times = bootstrap.interval(at_b - at_a, samples_b - samples_a)
    with np.errstate(divide="ignore", invalid="ignore"):
        percent = bootstrap.interval(
            100 * (at_b / at_a - 1) if at_a > 0 else math.nan, 100 * (samples_b / samples_a - 1)
        )
    return (at_a, at_b, *bootstrap.jointly(times, alike), *bootstrap.jointly(percent, alike))


def _word_of(row: pd.Series, whole_us: float, margin: float) -> str:
    """Activities may take no time, so they are judged by their share of A's iteration."""
    if row["kind"] == "activity":
        return word(100 * row["low_us"] / whole_us, 100 * row["high_us"] / whole_us, margin)
    return word(row["low_percent"], row["high_percent"], margin)


def _columns(run: RunFile, means: Means) -> dict[tuple[str, str], NDArray[np.float64]]:
    """[iteration] each, by kind and name."""
    columns = {("iteration", "iteration"): means.slowest}
    if run.level in ("layer", "op"):
        columns["layer", "all layers"] = means.work
        for i, layer in enumerate(run.layers):
            columns["layer", layer] = means.layers[:, i]
        for i, layer in enumerate(run.layers):
            for j, phase in enumerate(run.phases):
                columns["phase", f"{layer} {phase}"] = means.layer[:, i, j]
    if run.level != "off":
        for i, activity in enumerate(run.activities):
            columns["activity", activity] = means.activity[:, i]
    if run.level in ("layer", "op"):
        columns["activity", "unaccounted"] = means.unaccounted
    return columns


def _notes(a: RunFile, b: RunFile, unequal: list[str], of_a: Means, of_b: Means) -> list[str]:
    notes = []
    if unequal:
        notes.append(f"the runs do not compare: they differ in {'; '.join(unequal)}")
    if a.level != b.level:
        notes.append(
            f"recorded at other levels (A '{a.level}', B '{b.level}'): what both have is compared, "
            "and recording costs time itself"
        )
    elif a.level in ("off", "iteration"):
        notes.append(f"recorded at level '{a.level}': there are no layers to compare")
    named = {"layers", "level", "config.profile.level", *(f"network.{key}" for key in _NETWORK)}
    found = [str(each) for each in differences([a, b]) if each.key not in named]
    if found:
        notes.append(f"the runs also differ in {'; '.join(found)}")
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
