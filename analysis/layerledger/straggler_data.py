"""The stragglers of the report: who is slow, when and by what, by rank and by node.

Ranks are in the order of their nodes. A cell is own time over the median in the same iteration,
minus 1; the page's map keeps, of neighbouring iterations that share a cell, what deviates most.
"""

from __future__ import annotations

import base64
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from .page_data import Section, rounded
from .reductions import Reduction
from .runfile import RunFile
from .schema import PERSISTENCE

MOST_CELLS: Final = 1 << 19
MOST_COLUMNS: Final = 512
LEAST_COLUMNS: Final = 64
LEAST_SCALE: Final = 0.05
"""Of the strongest colours, so that the map of a calm run does not look wild."""
MOST_NAMED: Final = 8
MOST_LATE: Final = 20


def node_names(run: RunFile) -> list[str]:
    """Each node's host name, in the order in which they come first among the ranks."""
    return list(dict.fromkeys(run.rank_table["hostname"].tolist()))


def ranks_of_nodes(run: RunFile) -> list[NDArray[np.intp]]:
    """[node]: its ranks, in rising order."""
    hosts = run.rank_table["hostname"].to_numpy()
    return [np.flatnonzero(hosts == name) for name in node_names(run)]


def ranks_section(run: RunFile, reduction: Reduction) -> Section:
    """A row for each rank, the ranks of a node together."""
    nodes = ranks_of_nodes(run)
    order = np.concatenate(nodes)
    hosts = run.rank_table["hostname"].to_numpy()
    data, table = _map(reduction, reduction.own[:, order])
    table.insert(0, "rank", order)
    table.insert(1, "host", hosts[order])
    own = np.nanmedian(reduction.own, axis=0)
    share = _share_of_last(reduction, np.arange(run.ranks))
    named = [rank for rank in np.argsort(-share, kind="stable")[:MOST_NAMED] if share[rank]]
    data |= {
        "names": order.tolist(),
        "nodes": short_names(node_names(run)),
        "node": np.repeat(np.arange(len(nodes)), [ranks.size for ranks in nodes]).tolist(),
        "slowest": [
            [int(rank), hosts[rank], *_numbers(share, own, rank)] for rank in named
        ],
    }  # fmt: skip
    return Section(data, table)


def nodes_section(run: RunFile, reduction: Reduction) -> Section:
    """A row for each node: its slowest rank against the median node's slowest rank."""
    nodes = ranks_of_nodes(run)
    names = node_names(run)
    slowest = np.stack([np.nanmax(reduction.own[:, ranks], axis=1) for ranks in nodes], axis=1)
    data, table = _map(reduction, slowest)
    table.insert(0, "node", names)
    table.insert(1, "ranks", [ranks.size for ranks in nodes])
    own = np.nanmedian(slowest, axis=0)
    node_of = np.empty(run.ranks, np.intp)
    for node, ranks in enumerate(nodes):
        node_of[ranks] = node
    share = _share_of_last(reduction, node_of)
    named = [node for node in np.argsort(-share, kind="stable")[:MOST_NAMED] if share[node]]
    data |= {
        "names": short_names(names),
        "slowest": [
            [names[node], int(nodes[node].size), *_numbers(share, own, node)] for node in named
        ],
    }  # fmt: skip
    return Section(data, table)


def late_section(run: RunFile) -> Section:
    """What the run itself found: a row for each straggler, the dearest first, and sums by node."""
    hosts = run.rank_table["hostname"].to_numpy()
    found = run.stragglers
    what = [
        run.straggler_name(one.layer, one.phase, one.cause) for one in found.itertuples()
    ]
    table = pd.DataFrame(
        {
            "rank": found["rank"],
            "host": hosts[found["rank"].to_numpy(np.intp)],
            "what": what,
            "excess_ms": found["excess"].to_numpy(np.float64) / 1e3,
            "excess_percent": found["percent"],
            "windows": found["windows"],
            "all_windows": found["all_windows"],
            "persistence": [PERSISTENCE[kind] for kind in found["persistence"]],
            "first_iteration": found["iteration"],
        }
    )
    rows = [
        [
            int(one.rank), one.host, one.what, rounded(one.excess_ms, 3),
            rounded(one.excess_percent, 3), f"{one.windows} of {one.all_windows}", one.persistence,
            int(one.first_iteration),
        ]
        for one in table.head(MOST_LATE).itertuples()
    ]  # fmt: skip
    return Section(
        {"rows": rows, "more": max(0, len(table) - MOST_LATE), "nodes": _late_nodes(run, table)},
        table,
    )


def _late_nodes(run: RunFile, found: pd.DataFrame) -> list[list[Any]]:
    """Of each node of several, those that cost most first: ranks, share of the iterations in which
    one of them came last, time they take longer an iteration, stragglers by persistence.
    """  # noqa: D205
    names = node_names(run)
    if len(names) < 2:
        return []
    last = run.rank_table["hostname"].to_numpy()[run.late["rank"].to_numpy(np.intp)]
    rows = []
    for name, ranks in zip(names, ranks_of_nodes(run), strict=True):
        of_node = found[found["host"] == name]
        share = of_node["windows"] / of_node["all_windows"]
        rows.append([
            name, int(ranks.size),
            rounded(100 * float(np.mean(last == name)), 3) if last.size else None,
            rounded(float((of_node["excess_ms"] * share).sum()), 3),
            *(int((of_node["persistence"] == kind).sum()) for kind in PERSISTENCE),
        ])  # fmt: skip
    return sorted(rows, key=lambda row: -row[3])[:MOST_NAMED]


def short_names(hosts: list[str]) -> list[str]:
    """Without domains, where they are not needed to tell hosts apart."""
    short = [host.split(".")[0] for host in hosts]
    return short if len(set(short)) == len(set(hosts)) else hosts


def _map(reduction: Reduction, own: NDArray[Any]) -> tuple[dict[str, Any], pd.DataFrame]:
    """`own` is [row, line]; the data have [line, cell], the table all rows."""
    ratio = (own / np.nanmedian(own, axis=1, keepdims=True) - 1).T
    columns = int(np.clip(MOST_CELLS // ratio.shape[0], LEAST_COLUMNS, MOST_COLUMNS))
    step = -(-ratio.shape[1] // columns)
    cells = _most_deviating(np.nan_to_num(ratio), step)
    scale = float(np.clip(np.quantile(np.abs(cells), 0.99), LEAST_SCALE, 1.0))
    level = np.clip(np.rint(cells / scale * 127), -127, 127).astype(np.int8)
    data = {
        "shape": list(cells.shape),
        "cells": base64.b64encode(level.tobytes()).decode(),
        "scale": scale,
        "rowStep": step,
        "iterations": reduction.iterations[::step].tolist(),
    }
    names = [f"iteration_{i}" for i in reduction.iterations]
    return data, pd.DataFrame(np.round(1 + ratio, 5), columns=names)


def _most_deviating(values: NDArray[Any], step: int) -> NDArray[Any]:
    """[line, cell] of [line, row]: the largest deviation of `step` neighbours, with its sign."""
    starts = np.arange(0, values.shape[1], step)
    up = np.maximum.reduceat(values, starts, axis=1)
    down = np.minimum.reduceat(values, starts, axis=1)
    return np.where(up >= -down, up, down)


def _share_of_last(reduction: Reduction, group_of: NDArray[np.intp]) -> NDArray[np.float64]:
    """[group]: in how many of the iterations, as a share, the slowest rank was one of it."""
    last = np.nanargmax(reduction.own, axis=1)
    return np.bincount(group_of[last], minlength=int(group_of.max()) + 1) / last.size


def _numbers(share: NDArray[Any], own: NDArray[Any], which: int) -> list[Any]:
    """Share of the iterations in percent, own time in ms, percent above the median of all."""
    return [
        rounded(100 * share[which], 3),
        rounded(own[which] / 1e3),
        rounded(100 * (own[which] / np.median(own) - 1), 3),
    ]
