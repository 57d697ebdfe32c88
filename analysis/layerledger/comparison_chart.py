"""The figure of a comparison: differences with their intervals, in percent and in time."""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .charts import BLACK, BLUE, GREEN, GREY, VERMILION, new_figure

_LOOKS: Final = {
    "same": (GREEN, "o"), "faster": (BLUE, "<"), "slower": (VERMILION, ">"), "unclear": (GREY, "D"),
}  # fmt: skip
"""Words differ in shape too."""


def draw_comparison(table: pd.DataFrame, title: str, margin: float) -> Figure:
    """A line for the iteration, each layer, and each activity that took any time.

    Args:
        table: `Comparison.table`.
        title: which runs.
        margin: what does not matter, in percent; it is shaded.
    """
    idle = (table["kind"] == "activity") & (table["a_us"] == 0) & (table["b_us"] == 0)
    shown = table[(table["kind"] != "phase") & ~idle].reset_index(drop=True)
    figure = new_figure(10, 1.8 + 0.24 * len(shown))
    left, right = figure.subplots(1, 2, sharey=True)
    left.axvspan(-margin, margin, color=GREEN, alpha=0.12, lw=0)
    _panel(left, shown, "percent", 1)
    _panel(right, shown, "us", 1e-3)
    left.set_yticks(range(len(shown)), shown["name"])
    left.set_ylim(len(shown) - 0.4, -0.6)
    left.set_xlabel(
        f"B \u2212 A in % of A's time; activities: of its iteration (shaded: \u00b1{margin:g} %)",
        fontsize=9,
    )
    right.set_xlabel("B \u2212 A in ms")
    edges = np.flatnonzero(shown["kind"].ne(shown["kind"].shift())[1:]) + 0.5
    for axes in (left, right):
        axes.axvline(0, color=BLACK, lw=0.8)
        for edge in edges:
            axes.axhline(edge, color=GREY, lw=0.6, ls=":")
    figure.suptitle(title, x=0.01, ha="left", fontsize=11)
    handles = [
        right.plot([], [], color=colour, marker=marker, ls="", label=name)[0]
        for name, (colour, marker) in _LOOKS.items()
    ]
    right.legend(handles=handles, loc="lower right", bbox_to_anchor=(1, 1), ncols=len(_LOOKS))
    return figure


def _panel(axes: Axes, rows: pd.DataFrame, unit: str, scale: float) -> None:
    middle, low, high = (
        scale * rows[f"{end}_{unit}"].to_numpy(float) for end in ("difference", "low", "high")
    )
    at = rows.index.to_numpy()
    for name, (colour, marker) in _LOOKS.items():
        chosen = (rows["word"] == name).to_numpy()
        axes.hlines(at[chosen], low[chosen], high[chosen], color=colour, lw=2.5, alpha=0.6)
        axes.plot(middle[chosen], at[chosen], color=colour, marker=marker, ls="", ms=5)
