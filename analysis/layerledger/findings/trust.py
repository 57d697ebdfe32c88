"""Whether the numbers can be trusted: the run's state, its account, its cost, its clocks."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ..bounds import OVERHEAD_PERCENT, UNACCOUNTED_MEDIAN_PERCENT, UNACCOUNTED_WORST_PERCENT
from ..reductions import Reduction
from ..runfile import RunFile
from .finding import FEW_ROWS, INTERRUPT_US, MOST_NAMED, SMALL_SHARE, Finding, time_text


def state(run: RunFile, reduction: Reduction) -> Iterator[Finding]:
    """Starts, skipped images, few iterations, clocks that disagree."""
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


def loss(run: RunFile, _: Reduction) -> Iterator[Finding]:
    """A loss that stops being a number."""
    losses = run.read("loss")
    present = np.flatnonzero(~np.isnan(losses))
    wrong = np.flatnonzero(~np.isfinite(losses[present]))
    last = run.read("iteration")[-1]
    if present.size and (wrong.size or present[-1] < 0.9 * (losses.size - 1)):
        first = run.read("iteration")[present[wrong[0]] if wrong.size else present[-1] + 1]
        yield Finding(
            "problem",
            "Training diverged",
            f"From iteration {first} to {last} the loss is not a finite number.",
        )


def unaccounted(run: RunFile, reduction: Reduction) -> Iterator[Finding]:
    """The account against its bounds."""
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


def gaps(_: RunFile, reduction: Reduction) -> Iterator[Finding]:
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


def overhead(run: RunFile, _: Reduction) -> Iterator[Finding]:
    """The cost of profiling against its bound."""
    measured = run.overhead
    if run.level == "off":
        return
    if not measured:
        yield Finding(
            "notice",
            "The cost of profiling was not measured",
            "Train with --profile.overhead_check true to have it in the run file.",
        )
        return
    percent, low, high = (float(measured[name]) for name in ("percent", "low", "high"))
    text = (
        f"Profiling costs {percent:+.2f} % of an iteration, 95 % interval {low:+.2f} to "
        f"{high:+.2f} %, from {measured['pairs']} pairs (bound {OVERHEAD_PERCENT} %)."
    )
    if low > OVERHEAD_PERCENT:
        yield Finding("problem", "Profiling costs more than its bound", text)
    elif high > OVERHEAD_PERCENT:
        yield Finding("notice", "The cost of profiling is not settled", text)
    else:
        yield Finding("good", "Profiling is cheap", text)


def clocks(run: RunFile, reduction: Reduction) -> Iterator[Finding]:
    """How well times across ranks are aligned."""
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


def causality(run: RunFile, _: Reduction) -> Iterator[Finding]:
    """Clocks that put an effect before its cause are wrong, whatever their bounds say."""
    found = run.causality
    if not found.get("checked"):
        return
    checked, violations = int(found["checked"]), int(found["violations"])
    known = f"Clocks are known to {time_text(float(found['widest_bound']))} or better."
    if violations:
        yield Finding(
            "problem",
            "Clocks contradict cause and effect",
            f"In {violations} of {checked} all-reduces a rank leaves before the last one enters, "
            f"most in iteration {found['worst_iteration']}: rank {found['worst_rank']} "
            f"leaves bucket {found['worst_bucket']} {time_text(float(found['worst']))} "
            f"earlier than the clocks may be wrong by. Times across ranks are not to be trusted. "
            f"{known}",
        )
    else:
        within = int(found["within_bounds"])
        yield Finding(
            "good",
            "Clocks agree with cause and effect",
            f"In none of {checked} all-reduces a rank leaves before the last one enters"
            + (f"; in {within} it seems to, by less than the clocks may be wrong. " if within
               else ". ")
            + known,
        )  # fmt: skip
