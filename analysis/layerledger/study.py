"""The numbers of a scaling study: time, speed-up, efficiency, and where the rest went."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from . import bootstrap
from .bootstrap import Interval
from .errors import AnalysisError
from .estimates import Estimate, of_one_run, of_repetitions, ratio
from .likeness import differences
from .means import Means, read_means
from .runfile import RunFile

Floats = NDArray[np.float64]

GROUPS: Final = {
    "compute": (),
    "input": ("input_wait",),
    "copies": ("memcpy_h2d", "memcpy_d2h"),
    "exposed transfer": ("allreduce_transfer",),
    "wait": ("allreduce_wait",),
    "idle": ("idle_launch", "idle_sync", "idle_other"),
    "measurement": ("measurement",),
}
"""What the activities of an iteration are called in a study; compute is the layers' work."""
COMPONENTS: Final = (*GROUPS, "unaccounted", "spread")
"""They add up to an iteration's time. Spread is what the slowest rank's median has over the mean of
all ranks in the iterations nearest to it, of which the others are parts."""


@dataclass(frozen=True)
class Point:
    """All runs of one number of ranks. Times are microseconds."""

    ranks: int
    nodes: int
    runs: int
    per_rank_batch: int
    iterations: int
    known: Estimate
    """Median over iterations of the slowest rank's time; mean over the runs."""
    p10: float
    p90: float
    """Percentiles over iterations of the slowest rank's time."""
    components: dict[str, float]
    """COMPONENTS; empty at level `off`, without compute and unaccounted apart at `iteration`."""
    layers: list[Estimate]
    """[layer]: median over iterations of the mean over ranks, mean over the runs; NaN below level
    `layer`."""

    @property
    def time(self) -> float:
        """`known` without its error."""
        return self.known.value


@dataclass(frozen=True)
class Study:
    """Points in rising order of ranks; the first is the base of speed-up and efficiency."""

    kind: str
    """strong (the same global batch) or weak (the same batch per rank)."""
    network: str
    batch: int
    """Global for strong, per rank for weak scaling."""
    layers: list[str]
    points: list[Point]
    notes: list[str]
    left_out: list[str]
    """Files of runs that did not end as they should."""

    @property
    def title(self) -> str:
        """As in "Strong scaling of lenet5, 64 images an iteration"."""
        of = "an iteration" if self.kind == "strong" else "per rank"
        base = self.points[0].ranks
        since = "" if base == 1 else f", relative to {base} ranks"
        return (
            f"{self.kind.capitalize()} scaling of {self.network}, {self.batch} images {of}{since}"
        )

    def ideal(self, point: Point) -> float:
        """The time that perfect scaling would have given, us."""
        base = self.points[0]
        return base.time * (base.ranks / point.ranks if self.kind == "strong" else 1)

    def efficiency(self, point: Point) -> Interval:
        """Ideal over measured time; 1 at the base."""
        base = self.points[0]
        scale = base.ranks / point.ranks if self.kind == "strong" else 1.0
        if point is base:
            return Interval(1, 1, 1)
        return ratio(base.known, point.known, scale)

    def speedup(self, point: Point) -> Interval:
        """Throughput over the base's throughput per rank: `ranks` would be ideal."""
        return Interval(*(point.ranks * end for end in self.efficiency(point)))

    def layer_efficiency(self, point: Point) -> list[Interval]:
        """Of each layer: ideal over measured time."""
        base = self.points[0]
        scale = base.ranks / point.ranks if self.kind == "strong" else 1.0
        if point is base:
            return [Interval(1, 1, 1)] * len(self.layers)
        return [
            ratio(of_base, of_point, scale)
            for of_base, of_point in zip(base.layers, point.layers, strict=True)
        ]

    def waterfall(self, point: Point) -> dict[str, float]:
        """From ideal to measured time: what each component has more than its ideal share, us.

        The parts add up to `point.time - ideal(point)`.
        """
        base = self.points[0]
        scale = base.ranks / point.ranks if self.kind == "strong" else 1.0
        return {
            name: value - scale * base.components[name]
            for name, value in point.components.items()
            if name in base.components
        }

    def table(self) -> pd.DataFrame:
        """One row a point: all raw numbers with intervals, for CSV and page."""
        rows = []
        for point in self.points:
            time = point.known.interval
            speedup, efficiency = self.speedup(point), self.efficiency(point)
            row = {
                "ranks": point.ranks,
                "nodes": point.nodes,
                "runs": point.runs,
                "per_rank_batch": point.per_rank_batch,
                "global_batch": point.per_rank_batch * point.ranks,
                "iterations": point.iterations,
                "iteration_us": point.time,
                "iteration_low_us": time.low,
                "iteration_high_us": time.high,
                "iteration_p10_us": point.p10,
                "iteration_p90_us": point.p90,
                "ideal_us": self.ideal(point),
                "images_per_s": 1e6 * point.per_rank_batch * point.ranks / point.time,
                "speedup": speedup.estimate,
                "speedup_low": speedup.low,
                "speedup_high": speedup.high,
                "efficiency": efficiency.estimate,
                "efficiency_low": efficiency.low,
                "efficiency_high": efficiency.high,
            }
            row |= {
                f"{name.replace(' ', '_')}_us": value for name, value in point.components.items()
            }
            rows.append(row)
        return pd.DataFrame(rows)


def build_study(runs: Sequence[RunFile], allowed: Sequence[str] = (), seed: int = 1) -> Study:
    """Makes a study of runs that differ in nothing but the scale.

    Args:
        runs: at least two, of at least two numbers of ranks. Several of the same number are
            repetitions of one point.
        allowed: keys, as in "provenance.git", in which the runs may differ all the same; with
            "status" runs that are not complete are taken too, which else are left out.
        seed: of the resampling.

    Raises:
        AnalysisError: the runs cannot be compared; the text names what differs.
        RunFileError: a run has no iterations after warm-up.
    """
    given = runs
    runs = [run for run in given if run.status == "complete" or "status" in allowed]
    left_out = [run for run in given if run not in runs]
    numbers = sorted({run.ranks for run in runs})
    if len(numbers) < 2:
        incomplete = ", ".join(f"{run.path} is {run.status}" for run in left_out)
        raise AnalysisError(
            "scaling needs complete runs of at least two numbers of ranks ("
            + (f"all have {numbers[0]}" if numbers else "there are none")
            + (f"; {incomplete}: --allow status takes such runs too" if incomplete else "")
            + ")"
        )
    found = differences(runs)
    refused = [each for each in found if each.key not in allowed]
    if refused:
        raise AnalysisError(
            "the runs differ in more than the scale: "
            + "; ".join(each.between([run.path for run in runs]) for each in refused)
            + f" (if that is meant: --allow {' '.join(each.key for each in refused)})"
        )
    kind, batch = _kind(runs)
    by_ranks: dict[int, list[RunFile]] = {}
    for run in runs:
        by_ranks.setdefault(run.ranks, []).append(run)
    points = [_point(by_ranks[ranks], seed) for ranks in sorted(by_ranks)]
    notes = [
        f"{run.path} is left out: its status is {run.status} (--allow status takes it all the same)"
        for run in left_out
    ]
    return Study(kind, runs[0].network.get("name", ""), batch, runs[0].layers, points,
                 notes + _notes(runs, found, points), [run.path for run in left_out])  # fmt: skip


def _kind(runs: Sequence[RunFile]) -> tuple[str, int]:
    per_rank = sorted({run.per_rank_batch for run in runs})
    whole = sorted({run.global_batch for run in runs})
    if len(per_rank) == 1:
        return "weak", per_rank[0]
    if len(whole) == 1:
        return "strong", whole[0]
    raise AnalysisError(
        "neither strong nor weak scaling: the runs differ in the batch per rank "
        f"({', '.join(map(str, per_rank))} images) and in the global batch "
        f"({', '.join(map(str, whole))} images); one of the two must stay the same"
    )


def _notes(runs: Sequence[RunFile], found: Sequence[object], points: list[Point]) -> list[str]:
    notes = [f"{run.path}: its status is {run.status}" for run in runs if run.status != "complete"]
    notes += [f"allowed to differ: {each}" for each in found]
    if not runs[0].has_layers:
        notes.append(f"recorded at level '{runs[0].level}': nothing is known about layers")
    for point in points:
        if np.isnan(point.known.error):
            notes.append(
                f"{point.ranks} ranks: fewer than {bootstrap.LEAST_ROWS} iterations after warm-up, "
                "too few for an interval"
            )
    single = [str(point.ranks) for point in points if point.runs == 1]
    if single:
        of_which = "" if len(single) == len(points) else f" with {', '.join(single)} ranks"
        notes.append(
            f"one run a point{of_which}: its interval, by a block bootstrap over iterations, "
            "covers what varies within a run, not from one start to the next"
        )
    if len(single) < len(points):
        fewest = min(point.runs for point in points if point.runs > 1)
        wide = f"; {fewest} runs make it wide, 5 far narrower" if fewest < 4 else ""
        notes.append(
            "several runs a point: Student's interval over the runs' medians, which covers what "
            f"varies within a run and from one start to the next{wide}"
        )
    return notes


def _point(runs: Sequence[RunFile], seed: int) -> Point:
    means = [read_means(run) for run in runs]
    slowest = np.concatenate([each.slowest for each in means])
    p10, p90 = np.nanquantile(slowest, [0.1, 0.9])

    def known(columns: list[Floats]) -> Estimate:
        if len(columns) == 1:
            return of_one_run(columns[0], seed + runs[0].ranks)  # each point draws its own
        return of_repetitions([bootstrap.median(column) for column in columns])

    parts = [_components(run, each) for run, each in zip(runs, means, strict=True)]
    return Point(
        ranks=runs[0].ranks,
        nodes=max(len(set(run.rank_table["hostname"])) for run in runs),
        runs=len(runs),
        per_rank_batch=runs[0].per_rank_batch,
        iterations=slowest.size,
        known=known([each.slowest for each in means]),
        p10=float(p10),
        p90=float(p90),
        components={name: float(np.mean([part[name] for part in parts])) for name in parts[0]},
        layers=[known([each.layers[:, i] for each in means]) for i in range(len(runs[0].layers))],
    )


def _components(run: RunFile, means: Means) -> dict[str, float]:
    """Means over the fifth of the iterations that is nearest to the median, which is what they are
    to explain: [component] in us, together the median of the slowest rank's time.
    """  # noqa: D205
    if run.level == "off":
        return {}
    away = np.abs(means.slowest - bootstrap.median(means.slowest))
    middle = np.argsort(away, kind="stable")[: max(1, away.size // 5)]
    activity = dict(zip(run.activities, means.activity[middle].mean(axis=0), strict=True))
    parts = {
        name: float(sum(activity.get(each, 0.0) for each in names))
        for name, names in GROUPS.items()
    }
    # An activity that a later minor version adds is idle time until this package knows better.
    known = {each for names in GROUPS.values() for each in names}
    parts["idle"] += float(sum(value for name, value in activity.items() if name not in known))
    mean = float(means.mean[middle].mean())
    if run.level == "iteration":
        parts["compute"] = mean - sum(parts.values())
        parts["unaccounted"] = 0.0
    else:
        parts["compute"] = float(means.work[middle].mean())
        parts["unaccounted"] = mean - sum(parts.values())
    return parts | {"spread": bootstrap.median(means.slowest) - mean}
