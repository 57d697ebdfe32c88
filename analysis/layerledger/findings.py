"""What looks wrong in a run, in words, each with the number that says so."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from .bounds import OVERHEAD_PERCENT, UNACCOUNTED_MEDIAN_PERCENT, UNACCOUNTED_WORST_PERCENT
from .dependence import median_error
from .estimates import student
from .reductions import FEW_RANKS, Reduction, from_others, mean
from .runfile import RunFile
from .schema import CAUSES, PERSISTENCE

SLOWER: Final = 0.05
"""A layer or a rank that takes this much more than on the other ranks is named."""
MUCH_SLOWER: Final = 0.10
"""A rank that takes this much more is a problem: all others wait for it."""
LARGE_SHARE_PERCENT: Final = 5.0
"""So much waiting, communication or idling of an iteration is worth a remark."""
LOST_SHARE_PERCENT: Final = 10.0
"""So much is a problem: a tenth of the machine, as much as a doubling of ranks costs at 90 %
efficiency."""
MEASUREMENT_LOST_PERCENT: Final = 2 * OVERHEAD_PERCENT
"""Measurement itself is a problem from here on; above its bound, as in short iterations, it is
worth a remark."""
INTERRUPT_US: Final = 500.0
"""Shorter gaps are what a system's interrupts and page faults make; longer ones are a problem."""
SMALL_SHARE: Final = 0.001
"""Less than this share of an iteration is not worth a remark."""
SMALL_US: Final = 10.0
"""Neither are a few microseconds: caches and the placement of threads make them."""
DEAR: Final = 0.005
"""So large a share, lost to one layer on one rank, is a problem."""
MOST_NAMED: Final = 5
"""How many of a kind are named; the rest is counted."""
FEW_ROWS: Final = 10
OUTLIER: Final = 1.5
"""An iteration that takes this many medians is an outlier."""
CHANCE: Final = 0.01
"""In so large a share of sound runs may chance blame a rank, a layer, a part of the run."""
ALWAYS: Final = 0.8
"""A rank that is the slowest in this share of the iterations is the one that others wait for."""


@dataclass(frozen=True)
class Finding:
    """One remark. `severity` is "problem" (the numbers cannot be trusted, or time is lost),
    "notice" (worth knowing) or "good".
    """  # noqa: D205

    severity: str
    title: str
    text: str


def find(run: RunFile, reduction: Reduction) -> list[Finding]:
    """All findings, problems first."""
    checks: list[Callable[[RunFile, Reduction], Iterator[Finding]]] = [
        _state,
        _loss,
        _unaccounted,
        _gaps,
        _slow_ranks_and_layers,
        _recorded_stragglers,
        _waiting,
        _idle,
        _overhead,
        _drift,
        _outliers,
        _clocks,
    ]
    found = [finding for check in checks for finding in check(run, reduction)]
    order = ("problem", "notice", "good")
    return sorted(found, key=lambda finding: order.index(finding.severity))


def time_text(us: float) -> str:
    """A duration with three significant digits, which no line end parts from its unit."""
    for limit, unit in ((1e6, "s"), (1e3, "ms")):
        if abs(us) >= limit * 0.9995:
            return f"{_digits(us / limit)}\u00a0{unit}"
    return f"{_digits(us)}\u00a0\u00b5s"


def _digits(value: float) -> str:
    size = abs(value)
    return f"{value:.0f}" if size >= 99.95 else f"{value:.1f}" if size >= 9.995 else f"{value:.2f}"


def _state(run: RunFile, reduction: Reduction) -> Iterator[Finding]:
    for note in run.notes:
        yield Finding("problem", "The run is not whole", f"{note[0].upper()}{note[1:]}.")
    starts = run.starts
    if len(starts) > 1:
        hosts = [" ".join(dict.fromkeys(of.split())) for of in starts["hostlist"]]
        moved = len(set(hosts)) > 1
        versions = starts["versions"].nunique() > 1
        changed = [
            text for text, has in (("hosts", moved), ("versions of its libraries", versions)) if has
        ]
        yield Finding(
            "notice",
            f"The run was started {len(starts)} times",
            "Numbers are over all of its starts"
            + (f", which had other {' and '.join(changed)}" if changed else "")
            + ". Figures over the iterations mark where it was started again; The run lists the "
            "starts.",
        )
    if run.skipped_images:
        yield Finding(
            "notice",
            "Images were skipped",
            f"{run.skipped_images} unreadable images were replaced by others.",
        )
    if reduction.rows.size < FEW_ROWS:
        yield Finding(
            "notice",
            "Few iterations",
            f"All numbers rest on {reduction.rows.size} iterations after warm-up.",
        )
    clock = run.wall_clock
    if {"windows", "elapsed", "paused"} <= clock.keys():
        outside = float(clock["elapsed"]) - float(clock["paused"])
        percent = 100 * (float(clock["windows"]) / outside - 1) if outside > 0 else 0.0
        if abs(percent) > 0.1:
            yield Finding(
                "problem",
                "Two clocks disagree",
                f"The iterations add up to {abs(percent):.2f} % "
                f"{'more' if percent > 0 else 'less'} time than another clock saw.",
            )


def _loss(run: RunFile, _: Reduction) -> Iterator[Finding]:
    loss = run.read("loss")
    present = np.flatnonzero(~np.isnan(loss))
    wrong = np.flatnonzero(~np.isfinite(loss[present]))
    last = run.read("iteration")[-1]
    if present.size and (wrong.size or present[-1] < 0.9 * (loss.size - 1)):
        first = run.read("iteration")[present[wrong[0]] if wrong.size else present[-1] + 1]
        yield Finding(
            "problem",
            "Training diverged",
            f"From iteration {first} to {last} the loss is not a finite number.",
        )


def _unaccounted(run: RunFile, reduction: Reduction) -> Iterator[Finding]:
    if reduction.unaccounted is None:
        yield Finding(
            "notice",
            "Layers were not timed",
            f"Recorded at level '{run.level}': no layers, and what is unaccounted is not known. "
            "Train with --profile.level layer.",
        )
        return
    percent = reduction.unaccounted_percent
    median, worst = float(np.nanmedian(percent)), float(np.nanmax(percent))
    bounds = (
        f"Unaccounted: {median:.3g} % of the median iteration (bound "
        f"{UNACCOUNTED_MEDIAN_PERCENT} %), {worst:.3g} % of the worst, iteration "
        f"{reduction.iterations[int(np.nanargmax(percent))]} (bound {UNACCOUNTED_WORST_PERCENT} %)."
    )
    largest = float(np.nanmax(np.abs(reduction.unaccounted)))
    if median > UNACCOUNTED_MEDIAN_PERCENT or (
        worst > UNACCOUNTED_WORST_PERCENT and largest >= INTERRUPT_US
    ):
        yield Finding("problem", "Unaccounted time above its bound", bounds)
    elif worst > UNACCOUNTED_WORST_PERCENT:  # of an iteration so short that an interrupt shows
        yield Finding("notice", "Unaccounted time above its bound in an iteration", bounds)
    else:
        yield Finding("good", "The account closes", bounds)


def _gaps(_: RunFile, reduction: Reduction) -> Iterator[Finding]:
    """Single iterations with far more unaccounted time than their rank usually has."""
    if reduction.unaccounted is None:
        return
    usual = np.nanmedian(np.abs(reduction.unaccounted), axis=0)
    excess = np.nan_to_num(np.abs(reduction.unaccounted) - usual)
    typical = float(np.nanmedian(reduction.slowest))
    least = max(50.0, SMALL_SHARE * typical)
    is_gap = (excess > 20 * usual) & (excess > least)
    cells = np.argwhere(is_gap)
    cells = cells[np.argsort(-excess[tuple(cells.T)])]
    for row, rank in cells[:MOST_NAMED]:
        more = cells.shape[0] - MOST_NAMED
        rest = f" {more} more iterations have such gaps." if more > 0 else ""
        yield Finding(
            "problem" if excess[row, rank] >= INTERRUPT_US else "notice",
            f"Gap in iteration {reduction.iterations[row]} on rank {rank}",
            f"{time_text(float(reduction.unaccounted[row, rank]))} that no layer and no activity "
            f"explains; usual there is {time_text(float(usual[rank]))}."
            + (rest if (row, rank) == tuple(cells[min(MOST_NAMED, cells.shape[0]) - 1]) else ""),
        )


def excess_over_others(values: NDArray[Any]) -> NDArray[Any]:
    """[rank, ...]: by what share each rank is above the median of the other ranks."""
    if values.shape[0] == 1:
        return np.zeros_like(values)
    with np.errstate(invalid="ignore", divide="ignore"):
        more = from_others(values[None])[0]
        return np.asarray(more / (values - more))


def _needed_errors(worth: NDArray[Any], comparisons: int) -> float:
    """So many standard errors are more than chance, but for CHANCE.

    `worth` is of how many independent rows the errors are; see `median_error`.
    """
    return student(max(1.0, float(np.nanmedian(worth)) - 1), 1 - CHANCE / comparisons)


def _slow_ranks_and_layers(run: RunFile, reduction: Reduction) -> Iterator[Finding]:
    if run.ranks < 2 or run.level == "off":  # then waiting is not told apart
        return
    own = np.nanmedian(reduction.own, axis=0)
    excess = excess_over_others(own)
    more = excess * own / (1 + excess)  # than the others' median
    errors, worth = median_error(from_others(reduction.own))
    # Quartiles of few iterations scatter: an error below the other ranks' is not believed.
    errors = np.maximum(errors, np.nanmedian(errors))
    is_slow = (excess > SLOWER) & (more > _needed_errors(worth, run.ranks) * errors)
    last = np.nanargmax(reduction.own, axis=1)
    slow_nodes = _slow_nodes(run, is_slow)
    for ranks in slow_nodes[:MOST_NAMED]:
        rest = len(slow_nodes) - MOST_NAMED
        yield Finding(
            _weight_of(float(np.median(excess[ranks]))),
            f"Host {run.rank_table['hostname'].iloc[ranks[0]]} is slow",
            f"All of its {ranks.size} ranks are ({', '.join(map(str, ranks[:MOST_NAMED]))}"
            f"{', ...' if ranks.size > MOST_NAMED else ''}): without all-reduce they take "
            f"{time_text(float(np.median(own[ranks])))} an iteration, "
            f"{100 * np.median(excess[ranks]):.1f} % more than the median of the other ranks. The "
            f"slowest rank is there in {100 * np.mean(np.isin(last, ranks)):.0f} % of the "
            "iterations."
            + (f" {rest} more hosts are slow."
               if rest > 0 and ranks is slow_nodes[MOST_NAMED - 1] else ""),
        )  # fmt: skip
    for ranks in slow_nodes:
        is_slow[ranks] = False
    slow_ranks = sorted(np.flatnonzero(is_slow).tolist(), key=lambda rank: -excess[rank])
    for rank in slow_ranks[:MOST_NAMED]:
        yield Finding(
            _weight_of(float(excess[rank])),
            f"Rank {rank} is slow",
            f"Without all-reduce it takes {time_text(own[rank])} an iteration, "
            f"{100 * excess[rank]:.1f} % more than the median of the other ranks. It is on "
            f"{_host(run, rank)}, and the slowest in {100 * np.mean(last == rank):.0f} % of the "
            "iterations."
            + (f" {len(slow_ranks) - MOST_NAMED} more ranks are slow."
               if len(slow_ranks) > MOST_NAMED and rank == slow_ranks[MOST_NAMED - 1] else ""),
        )  # fmt: skip
    if reduction.layer_quantiles is not None:
        yield from _slow_layers(run, reduction)


def _weight_of(excess: float) -> str:
    return "problem" if excess > MUCH_SLOWER else "notice"


def _slow_nodes(run: RunFile, is_slow: NDArray[np.bool_]) -> list[NDArray[np.intp]]:
    """Ranks of those hosts of several on which all ranks, at least two, are slow."""
    hosts = run.rank_table["hostname"].to_numpy()
    names = list(dict.fromkeys(hosts[is_slow]))
    nodes = [np.flatnonzero(hosts == name) for name in names]
    return [ranks for ranks in nodes if 1 < ranks.size < run.ranks and is_slow[ranks].all()]


def _slow_layers(run: RunFile, reduction: Reduction) -> Iterator[Finding]:
    assert reduction.layer_quantiles is not None
    medians = np.nansum(reduction.layer_median, axis=2)  # [rank, layer]
    assert reduction.layer_error is not None and reduction.layer_worth is not None
    errors = np.maximum(reduction.layer_error, np.nanmedian(reduction.layer_error, axis=0))
    worth = reduction.layer_worth
    if run.ranks > FEW_RANKS:  # then what ranks have in common shows in how little they differ
        apart = 1.4826 * np.median(np.abs(medians - np.median(medians, axis=0)), axis=0)
        worth = np.where(apart < errors, run.ranks, worth)
        errors = np.minimum(apart, errors)
    excess = excess_over_others(medians)
    typical = float(np.nanmedian(reduction.slowest))
    lost = excess * medians / (1 + excess)  # over the others' median
    least = max(SMALL_US, SMALL_SHARE * typical)
    needed = _needed_errors(worth, medians.size)
    is_slow = (excess > SLOWER) & (lost > needed * errors) & (lost > least)
    cells = np.argwhere(is_slow)
    cells = cells[np.argsort(-lost[tuple(cells.T)])]
    for i, (rank, layer) in enumerate(cells[:MOST_NAMED]):
        rest = cells.shape[0] - MOST_NAMED
        is_dear = lost[rank, layer] > DEAR * typical
        yield Finding(
            "problem" if is_dear else "notice",
            f"{run.layers[layer]} is slow on rank {rank}",
            f"It takes {time_text(medians[rank, layer])} there, {100 * excess[rank, layer]:.1f} % "
            f"more than the median of the other ranks, and costs that rank "
            f"{time_text(lost[rank, layer])}, {100 * lost[rank, layer] / typical:.2g} % of an "
            f"iteration ({_host(run, rank)})."
            + (f" {rest} more layers are slow on some rank: layers-by-rank.csv has them all."
               if rest > 0 and i == MOST_NAMED - 1 else ""),
        )  # fmt: skip


def _host(run: RunFile, rank: int) -> str:
    return f"host {run.rank_table['hostname'].iloc[rank]}"


def _shares(run: RunFile, reduction: Reduction) -> dict[str, float]:
    """Each activity in percent of the iteration, mean over ranks."""
    whole = float(mean(reduction.iteration))
    means = mean(reduction.activity, 0)
    return {name: 100 * float(us) / whole for name, us in zip(run.activities, means, strict=True)}


def _weight(percent: float, lost: float = LOST_SHARE_PERCENT) -> str:
    return "problem" if percent > lost else "notice"


def _waiting(run: RunFile, reduction: Reduction) -> Iterator[Finding]:
    shares = _shares(run, reduction)
    wait = shares.get("allreduce_wait", np.nan)
    transfer = shares.get("allreduce_transfer", np.nan)
    if wait > LARGE_SHARE_PERCENT:
        index = run.activities.index("allreduce_wait")
        patient = int(np.nanargmax(reduction.activity[:, index]))
        last = np.nanargmax(reduction.own, axis=1)
        slowest = int(np.bincount(last, minlength=run.ranks).argmax())
        share = float(np.mean(last == slowest))
        who = (
            f"It is mostly for rank {slowest}, the slowest in {100 * share:.0f} % of the iterations"
            if share >= ALWAYS
            else "No rank is always the slowest: they are late by turns, as where other programs "
            f"use the cores; most often, in {100 * share:.0f} % of the iterations, it is rank "
            f"{slowest}"
        )
        yield Finding(
            _weight(wait),
            "Ranks wait for the slowest one",
            f"allreduce_wait takes {wait:.1f} % of the iteration, "
            f"{time_text(float(reduction.activity[patient, index]))} on rank {patient}, which "
            f"waits longest. {who}.",
        )
    hidden = float(mean(reduction.allreduce_hidden))
    if transfer > LARGE_SHARE_PERCENT:
        exposed = float(mean(reduction.activity[:, run.activities.index("allreduce_transfer")]))
        yield Finding(
            _weight(transfer),
            "The all-reduce is exposed",
            f"allreduce_transfer takes {transfer:.1f} % of the iteration while no layer works "
            f"({time_text(exposed)}); {time_text(hidden)} are hidden under layers."
            + _more_overlap(run),
        )


def _more_overlap(run: RunFile) -> str:
    if run.config.get("sync.overlap") == "false":
        return " sync.overlap = true lets it begin under the backward pass."
    if run.buckets == 1:
        return (
            " All gradients are one bucket, which is sent after the backward pass: a smaller "
            "sync.bucket_mb lets the first begin earlier."
        )
    return " Larger batches per rank give it more work to hide under."


_FASTER_INPUT: Final = {
    "folder": "More data.workers help where cores are free; images that `layerledger pack` has "
    "decoded need hardly any",
    "packed": "Storage that is nearer, or free cores, would help",
    "synthetic": "Making synthetic images takes a core: is one free?",
}
_CAUSES: Final = {
    "input_wait": ("Training waits for input", "the next batch was not ready"),
    "memcpy_h2d": ("Copies to the device are exposed", "no layer works while input is copied"),
    "memcpy_d2h": ("Copies to the host are exposed", "no layer works meanwhile"),
    "idle_launch": (
        "The device waits for the host",
        "work is not enqueued fast enough: larger batches help",
    ),
    "idle_sync": (
        "Waking up after communication takes long",
        "the gradients were there, and the training thread did not go on yet. It does where a core "
        "is free for it: fewer ranks or threads per node, or nothing else running there",
    ),
    "idle_other": (
        "Something else used the cores",
        "the kernel had taken the processor from the training thread",
    ),
    "measurement": ("Measurement takes long", "recorder, gather and commits"),
}


def _recorded_stragglers(run: RunFile, _: Reduction) -> Iterator[Finding]:
    """What the run itself found, window by window: also what comes and goes."""
    inject = run.config.get("profile.inject", "")
    if inject:
        yield Finding(
            "notice",
            "A layer was slowed on purpose",
            f"profile.inject was {inject}: times of that rank are not the machine's.",
        )
    for straggler in run.stragglers.head(MOST_NAMED).itertuples():
        cause = CAUSES[straggler.cause]
        what = (
            f"{run.layers[straggler.layer]} {run.phases[straggler.phase]}"
            if straggler.layer >= 0
            else cause
        )
        yield Finding(
            _weight_of(straggler.percent / 100) if straggler.layer < 0 else "notice",
            f"Rank {straggler.rank} is late by {what}",
            f"From iteration {straggler.iteration} it takes {time_text(straggler.excess)} "
            f"({straggler.percent:.1f} %) more than on the other ranks, "
            f"{PERSISTENCE[straggler.persistence]}: in {straggler.windows} of "
            f"{straggler.all_windows} windows of 20 iterations.",
        )


def _idle(run: RunFile, reduction: Reduction) -> Iterator[Finding]:
    for name, percent in _shares(run, reduction).items():
        limit = OVERHEAD_PERCENT if name == "measurement" else LARGE_SHARE_PERCENT
        if name in _CAUSES and percent > limit:
            title, why = _CAUSES[name]
            if name == "input_wait":
                advice = _FASTER_INPUT.get(run.config.get("data.source", ""), "")
                why += f". {advice}" if advice else ""
            us = float(mean(reduction.activity[:, run.activities.index(name)]))
            lost = MEASUREMENT_LOST_PERCENT if name == "measurement" else LOST_SHARE_PERCENT
            yield Finding(
                _weight(percent, lost),
                title,
                f"{name} takes {percent:.1f} % of the iteration ({time_text(us)}): {why}"
                + ("" if why.endswith("?") else "."),
            )


def _overhead(run: RunFile, _: Reduction) -> Iterator[Finding]:
    overhead = run.overhead
    if run.level == "off":
        return
    if not overhead:
        yield Finding(
            "notice",
            "The cost of profiling was not measured",
            "Train with --profile.overhead_check true to have it in the run file.",
        )
        return
    percent, low, high = (float(overhead[name]) for name in ("percent", "low", "high"))
    text = (
        f"Profiling costs {percent:+.2f} % of an iteration, 95 % interval {low:+.2f} to "
        f"{high:+.2f} %, from {overhead['pairs']} pairs (bound {OVERHEAD_PERCENT} %)."
    )
    if low > OVERHEAD_PERCENT:
        yield Finding("problem", "Profiling costs more than its bound", text)
    elif high > OVERHEAD_PERCENT:
        yield Finding("notice", "The cost of profiling is not settled", text)
    else:
        yield Finding("good", "Profiling is cheap", text)


def _drift(_: RunFile, reduction: Reduction) -> Iterator[Finding]:
    """Compares fifths of the run."""
    slowest = reduction.slowest
    if slowest.size < 5 * FEW_ROWS // 2:
        return
    fifths = np.array_split(slowest, 5)
    calm = np.concatenate([fifth - np.nanmedian(fifth) for fifth in fifths])  # without the drift
    error, worth = (float(value) for value in median_error(calm))
    error *= 5**0.5  # of a fifth of the rows
    needed = _needed_errors(np.array(worth / 5), 2)
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


def _outliers(run: RunFile, reduction: Reduction) -> Iterator[Finding]:
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


def _clocks(run: RunFile, reduction: Reduction) -> Iterator[Finding]:
    if run.ranks < 2 or reduction.buckets is None:
        return
    if np.isnan(reduction.buckets.wait).all():
        yield Finding(
            "notice",
            "Times across ranks are missing",
            "Clocks could not be aligned well enough, so wait and transfer are not told apart.",
        )
        return
    bound = float(np.nanmax(run.rank_table["clock_bound"])) / 1e3
    typical = float(np.nanmedian(reduction.buckets.transfer))
    if bound > 0.1 * typical:
        yield Finding(
            "notice",
            "Clocks are aligned coarsely",
            f"Times across ranks are good to {time_text(bound)}, a bucket's transfer takes "
            f"{time_text(typical)}.",
        )
