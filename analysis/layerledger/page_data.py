"""What each section of the report shows: as tables for CSV, and as compact data for the page.

Every `*_section` function gives the data of one plot and its table; times in the page's data are
milliseconds, bandwidths GB/s, rates GFLOP/s.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from .bounds import OVERHEAD_PERCENT, UNACCOUNTED_MEDIAN_PERCENT, UNACCOUNTED_WORST_PERCENT
from .charts import ACTIVITY_COLOURS, PHASE_COLOURS
from .reductions import QUANTILES, Reduction, mean
from .runfile import RunFile
from .series import later_starts

MOST_BARS: Final = 48
"""More ranks than that share a chart of bands, without a name for each."""
MOST_POINTS: Final = 600


@dataclass(frozen=True)
class Section:
    """The data of one plot for the page, and its numbers."""

    data: dict[str, Any]
    table: pd.DataFrame


def rounded(values: Any, digits: int = 5) -> Any:  # noqa: ANN401
    """Numbers as nested lists with so many significant digits; NaN becomes None."""
    array = np.asarray(values, np.float64)
    if array.ndim == 0:
        return float(f"{array:.{digits}g}") if np.isfinite(array) else None
    return [rounded(value, digits) for value in array]


def ledger_section(run: RunFile, reduction: Reduction) -> Section:
    """Means over iterations, for each rank: phases of all layers, activities, unaccounted."""
    names: list[str] = []
    colours: list[str] = []
    columns: list[NDArray[Any]] = []
    if reduction.layer_mean is not None:
        per_phase = np.nansum(reduction.layer_mean, axis=1, dtype=np.float64)
        for p, phase in enumerate(run.phases):
            names.append(phase)
            colours.append(PHASE_COLOURS[phase])
            columns.append(per_phase[:, p])
    if run.level != "off":
        for a, activity in enumerate(run.activities):
            names.append(activity)
            colours.append(ACTIVITY_COLOURS.get(activity, "#666666"))
            columns.append(reduction.activity[:, a])
    whole = mean(reduction.iteration, 0)
    if reduction.unaccounted is not None:
        names.append("unaccounted")
        colours.append(ACTIVITY_COLOURS["unaccounted"])
        columns.append(mean(reduction.unaccounted, 0))
    else:
        rest = whole - (np.nansum(columns, axis=0) if columns else 0)
        names.append("not recorded in detail")
        colours.append("#D8D8D8")
        columns.append(rest)
    values = np.nan_to_num(np.stack(columns, axis=1)) / 1e3
    table = pd.DataFrame(
        values, columns=[f"{name.replace(' ', '_')}_ms" for name in names]
    )  # fmt: skip
    table.insert(0, "rank", np.arange(run.ranks))
    table.insert(1, "host", run.rank_table["hostname"].to_numpy())
    table["iteration_ms"] = whole / 1e3
    table["allreduce_hidden_ms"] = reduction.allreduce_hidden / 1e3
    table["memcpy_hidden_ms"] = reduction.memcpy_hidden / 1e3
    return Section(
        {
            "names": names,
            "colours": colours,
            "values": rounded(values),
            "mean": rounded(values.mean(axis=0)),
            "hosts": run.rank_table["hostname"].tolist(),
            "bands": run.ranks > MOST_BARS,
        },
        table,
    )


def idle_section(run: RunFile, reduction: Reduction) -> Section:
    """Time in no layer by cause: mean, and the spread of the ranks' means."""
    whole = float(mean(reduction.iteration)) / 1e3
    means = mean(reduction.activity, 0) / 1e3
    low = reduction.activity_quantiles[QUANTILES.index(0.05)] / 1e3
    high = reduction.activity_quantiles[QUANTILES.index(0.95)] / 1e3
    most = np.nan_to_num(reduction.activity, nan=-1)
    table = pd.DataFrame(
        {
            "activity": run.activities,
            "mean_ms": means,
            "share_percent": 100 * means / whole,
            "ranks_p05_ms": low,
            "ranks_p95_ms": high,
            "most_on_rank": np.argmax(most, axis=0),
            "most_ms": np.nanmax(most, axis=0) / 1e3,
        }
    )
    return Section(
        {
            "names": run.activities,
            "colours": [ACTIVITY_COLOURS.get(name, "#666666") for name in run.activities],
            **{
                key: rounded(table[column].to_numpy())
                for key, column in (
                    ("mean", "mean_ms"),
                    ("share", "share_percent"),
                    ("low", "ranks_p05_ms"),
                    ("high", "ranks_p95_ms"),
                    ("most", "most_ms"),
                )
            },
            "rank": table["most_on_rank"].tolist(),
        },
        table,
    )


def buckets_section(run: RunFile, reduction: Reduction) -> Section:
    """Of each gradient bucket: hidden, exposed wait, exposed transfer; means.

    The bus bandwidth is what an all-reduce moves over each rank's link, 2 (ranks - 1) / ranks of
    the bucket, in the time from the last rank's entry: what waiting took does not lower it. The
    transfer without skew is what the run measured once, right after a barrier.
    """
    buckets = reduction.buckets
    assert buckets is not None
    facts = run.bucket_table
    size = facts["bytes"].to_numpy(np.float64)
    zero_skew = np.full(run.buckets, np.nan)
    if len(run.anatomy) == run.buckets:
        zero_skew = run.anatomy["zero_skew"].to_numpy(np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        speed = size / buckets.transfer / 1e3
    table = pd.DataFrame(
        {
            "bucket": np.arange(run.buckets),
            "mbyte": size / 1e6,
            "queue_ms": buckets.queue / 1e3,
            "wait_ms": buckets.wait / 1e3,
            "transfer_ms": buckets.transfer / 1e3,
            "zero_skew_ms": zero_skew / 1e3,
            "hidden_ms": buckets.hidden / 1e3,
            "exposed_wait_ms": buckets.exposed_wait / 1e3,
            "exposed_transfer_ms": buckets.exposed_transfer / 1e3,
            "gbyte_per_s": speed,
            "bus_gbyte_per_s": speed * 2 * (run.ranks - 1) / run.ranks,
            "layers": facts["layers"].to_numpy(),
        }
    )
    data = {
        column: rounded(table[column].to_numpy())
        for column in table.columns
        if column not in ("bucket", "layers")
    }
    return Section({**data, "layers": table["layers"].tolist()}, table)


def iterations_section(run: RunFile, reduction: Reduction) -> Section:
    """Time of every committed iteration, warm-up too: slowest and median rank; and the loss."""
    time = run.read("iteration_time") / 1e3
    slowest, median = np.nanmax(time, axis=1), np.nanmedian(time, axis=1)
    numbers = run.read("iteration")
    loss = run.read("loss")
    table = pd.DataFrame(
        {
            "iteration": numbers,
            "warmup": run.warmup.astype(int),
            "profiled": run.profiled.astype(int),
            "slowest_rank_ms": slowest,
            "median_rank_ms": median,
            "loss": loss,
        }
    )
    step = -(-numbers.size // MOST_POINTS)
    starts = np.arange(0, numbers.size, step)
    counts = np.diff(np.append(starts, numbers.size))
    return Section(
        {
            "step": step,
            "iterations": numbers[starts].tolist(),
            "warmupEnd": int(np.count_nonzero(run.warmup)),
            "slowest": rounded(np.maximum.reduceat(slowest, starts)),
            "median": rounded(np.add.reduceat(median, starts) / counts),
            "loss": rounded(np.add.reduceat(loss, starts, dtype=np.float64) / counts),
            "typical": rounded(np.nanmedian(reduction.slowest) / 1e3),
            "starts": later_starts(run),
        },
        table,
    )


def proof_section(run: RunFile, reduction: Reduction) -> Section:
    """What bounds the numbers: unaccounted, cost of profiling; in percent of an iteration."""
    records: list[tuple[str, float, float, float, float, str]] = []
    nan = float("nan")
    if reduction.unaccounted is not None:
        shares = reduction.unaccounted_percent
        records += [
            ("unaccounted, median iteration", float(np.nanmedian(shares)), nan, nan,
             UNACCOUNTED_MEDIAN_PERCENT, ""),
            ("unaccounted, worst iteration", float(np.nanmax(shares)), nan, nan,
             UNACCOUNTED_WORST_PERCENT, ""),
        ]  # fmt: skip
    if run.overhead:
        percent, low, high = (float(run.overhead[name]) for name in ("percent", "low", "high"))
        records.append(
            ("cost of profiling, with its 95 % interval", percent, low, high, OVERHEAD_PERCENT,
             f"{run.overhead['pairs']} pairs"),
        )  # fmt: skip
    else:
        records.append(("cost of profiling", nan, nan, nan, OVERHEAD_PERCENT, "not measured"))
    columns = ["what", "percent", "low_percent", "high_percent", "bound_percent", "note"]
    table = pd.DataFrame(records, columns=columns)
    return Section({"rows": [[row[0], *rounded(row[1:5], 4), row[5]] for row in records]}, table)
