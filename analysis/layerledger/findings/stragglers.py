"""Which rank, host or layer on a rank is slower than the others, and by how much."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ..dependence import median_error
from ..reductions import FEW_RANKS, Reduction, from_others
from ..runfile import RunFile
from ..schema import PERSISTENCE
from .finding import MOST_NAMED, SLOWER, SMALL_SHARE, Finding, needed_errors, time_text

MUCH_SLOWER: Final = 0.10
"""A rank that takes this much more is a problem: all others wait for it."""
SMALL_US: Final = 10.0
"""Neither are a few microseconds: caches and the placement of threads make them."""
WINDOWS_TO_TELL_PERSISTENCE: Final = 3
DEAR: Final = 0.005
"""So large a share, lost to one layer on one rank, is a problem."""


def excess_over_others(values: NDArray[Any]) -> NDArray[Any]:
    """[rank, ...]: by what share each rank is above the median of the other ranks."""
    if values.shape[0] == 1:
        return np.zeros_like(values)
    with np.errstate(invalid="ignore", divide="ignore"):
        more = from_others(values[None])[0]
        return np.asarray(more / (values - more))


def slow_ranks_and_layers(run: RunFile, reduction: Reduction) -> Iterator[Finding]:
    """Hosts, ranks and layers on a rank that are slower than the others by more than chance."""
    if run.ranks < 2 or run.level == "off":  # then waiting is not told apart
        return
    own = np.nanmedian(reduction.own, axis=0)
    excess = excess_over_others(own)
    more = excess * own / (1 + excess)  # than the others' median
    errors, worth = median_error(from_others(reduction.own))
    # Quartiles of few iterations scatter: an error below the other ranks' is not believed.
    errors = np.maximum(errors, np.nanmedian(errors))
    is_slow = (excess > SLOWER) & (more > needed_errors(worth, run.ranks) * errors)
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


def recorded_stragglers(run: RunFile, _: Reduction) -> Iterator[Finding]:
    """What the run itself found, window by window: also what comes and goes."""
    inject = run.config.get("profile.inject", "")
    if inject:
        yield Finding(
            "notice",
            "A layer was slowed on purpose",
            f"profile.inject was {inject}: times of that rank are not the machine's.",
        )
    for straggler in run.stragglers.head(MOST_NAMED).itertuples():
        what = run.straggler_name(straggler.layer, straggler.phase, straggler.cause)
        yield Finding(
            _weight_of(straggler.percent / 100) if straggler.layer < 0 else "notice",
            f"Rank {straggler.rank} is late by {what}",
            f"From iteration {straggler.iteration} it takes {time_text(straggler.excess)} "
            f"({straggler.percent:.1f} %) more than on the other ranks, "
            f"{_how_often(straggler.persistence, straggler.all_windows)}in {straggler.windows} of "
            f"{straggler.all_windows} windows of 20 iterations.",
        )


def _how_often(persistence: int, windows: int) -> str:
    """Of few windows nobody can say whether they are like the others."""
    return f"{PERSISTENCE[persistence]}: " if windows >= WINDOWS_TO_TELL_PERSISTENCE else ""


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
    needed = needed_errors(worth, medians.size)
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
