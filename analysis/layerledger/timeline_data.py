"""The timeline of a few iterations: what each rank's streams did, on rank 0's clock."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from .page_data import Section
from .reductions import Reduction
from .runfile import RunFile
from .series import later_starts

MOST_RANKS: Final = 10
"""So many ranks have lanes; with more the slowest, the fastest and some between are chosen."""
ROWS: Final = 3

_COLUMNS: Final = ["window", "iteration", "rank", "stream", "what", "start_ms", "duration_ms"]
_BUCKET_PARTS: Final = (
    ("queued", "bucket_ready", "bucket_start"),
    ("wait", "bucket_start", "bucket_transfer"),
    ("transfer", "bucket_transfer", "bucket_end"),
)


def timeline_section(run: RunFile, reduction: Reduction) -> Section:
    """Two windows: typical iterations and the slowest one with its neighbours.

    A span of the page's data is [stream, what, detail, start, duration] in milliseconds from the
    window's begin, stream 0 being compute (`what` = layer, `detail` = phase) and 1 communication
    (`what` = bucket, `detail` = part of its life).
    """
    ranks = chosen_ranks(reduction)
    typical, slowest = reduction.is_typical(), int(np.nanargmax(reduction.slowest))
    windows: list[dict[str, Any]] = []
    records: list[tuple[Any, ...]] = []
    for name, row in (("typical", typical), ("slowest", slowest)):
        rows = _neighbours(run, reduction, row)
        windows.append({"name": name, **_window(run, rows, ranks, name, records)})
    return Section(
        {
            "layers": run.layers,
            "activities": run.activities,
            "ranks": [int(rank) for rank in ranks],
            "windows": windows,
            "all": run.ranks,
        },
        pd.DataFrame(records, columns=_COLUMNS),
    )


def chosen_ranks(reduction: Reduction) -> NDArray[np.intp]:
    """[at most MOST_RANKS]: all, or those spread evenly from the slowest to the fastest."""
    own = np.nanmedian(reduction.own, axis=0)
    if own.size <= MOST_RANKS:
        return np.arange(own.size)
    order = np.argsort(-own)
    return np.sort(order[np.linspace(0, own.size - 1, MOST_RANKS).astype(int)])


def _neighbours(run: RunFile, reduction: Reduction, row: int) -> NDArray[np.intp]:
    """Up to ROWS indices into the file around a row, as far as they follow each other there.

    Another start of the run is another time, perhaps on another clock.
    """
    rows = [int(reduction.rows[row])]
    present = set(reduction.rows.tolist())
    numbers = run.read("iteration")
    start_of = np.searchsorted(later_starts(run), numbers, side="right")
    for step in (1, -1):
        neighbour = int(reduction.rows[row]) + step
        if neighbour in present and start_of[neighbour] == start_of[rows[0]] and len(rows) < ROWS:
            rows.append(neighbour)
    return np.sort(np.array(rows))


def _window(
    run: RunFile, rows: NDArray[np.intp], ranks: NDArray[np.intp], name: str,
    records: list[tuple[Any, ...]],
) -> dict[str, Any]:  # fmt: skip
    span = slice(int(rows[0]), int(rows[-1]) + 1)
    starts = run.read("iteration_start", span)[:, ranks] / 1e6  # [row, rank], ms
    starts = starts - starts[0].min()
    arrays = {
        array: run.read(array, span)[:, ranks] / 1e3
        for array in ("layer_start", "layer_time", "iteration_time", "activity_time", "unaccounted")
    }
    if run.buckets:
        for array in ("bucket_ready", "bucket_start", "bucket_transfer", "bucket_end"):
            arrays[array] = run.read(array, span)[:, ranks] / 1e3
    numbers = run.read("iteration", span)
    lanes = []
    for i, rank in enumerate(ranks):
        spans: list[list[Any]] = []
        iterations = []
        for row, number in enumerate(numbers):
            base = float(starts[row, i])
            length = float(arrays["iteration_time"][row, i])
            iterations.append([
                int(number), _ms(base), _ms(length),
                [_ms(value) for value in arrays["activity_time"][row, i]],
                _ms(arrays["unaccounted"][row, i]),
            ])  # fmt: skip
            for layer, phase in np.argwhere(arrays["layer_time"][row, i] > 0):
                start = base + float(arrays["layer_start"][row, i, layer, phase])
                duration = float(arrays["layer_time"][row, i, layer, phase])
                spans.append([0, int(layer), int(phase), _ms(start), _ms(duration)])
                what = f"{run.layers[layer]} {run.phases[phase]}"
                records.append((name, number, rank, "compute", what, start, duration))
            for bucket in range(run.buckets):
                for part, (label, begin, end) in enumerate(_BUCKET_PARTS):
                    start = base + float(arrays[begin][row, i, bucket])
                    duration = float(arrays[end][row, i, bucket] - arrays[begin][row, i, bucket])
                    if duration > 0:  # not NaN either
                        spans.append([1, bucket, part, _ms(start), _ms(duration)])
                        what = f"bucket {bucket} {label}"
                        records.append((name, number, rank, "communication", what, start, duration))
        spans.sort(key=lambda span: (span[0], span[3]))
        lanes.append({"iterations": iterations, "spans": spans})
    last = float((starts + arrays["iteration_time"]).max())
    return {"lanes": lanes, "end": _ms(last), "iterations": [int(number) for number in numbers]}


def _ms(value: float) -> float | None:
    """Milliseconds to 0.1 us; None for what is absent."""
    return round(float(value), 4) if np.isfinite(value) else None
