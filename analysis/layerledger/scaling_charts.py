"""The plots of a scaling study."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Final

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import (
    FixedLocator,
    LogLocator,
    NullLocator,
    PercentFormatter,
    StrMethodFormatter,
)
from numpy.typing import NDArray

from . import charts
from .study import COMPONENTS, Point, Study

COLOURS: Final = {
    "compute": charts.BLUE,
    "input": charts.ACTIVITY_COLOURS["input_wait"],
    "copies": charts.ACTIVITY_COLOURS["memcpy_h2d"],
    "exposed transfer": charts.ACTIVITY_COLOURS["allreduce_transfer"],
    "wait": charts.ACTIVITY_COLOURS["allreduce_wait"],
    "idle": charts.ACTIVITY_COLOURS["idle_sync"],
    "measurement": charts.ACTIVITY_COLOURS["measurement"],
    "unaccounted": charts.ACTIVITY_COLOURS["unaccounted"],
    "spread": charts.GREY,
}
MOST_PANELS: Final = 6
PLAIN: Final = StrMethodFormatter("{x:g}")


def write(study: Study, directory: Path) -> list[str]:
    """Draws everything that the runs tell.

    Returns:
        The files' names without their endings, in the order in which to show them.
    """
    stems = ["iteration_time", "speedup", "efficiency"]
    with mpl.rc_context(charts.STYLE):
        _draw_time(study, directory, stems[0])
        _draw_speedup(study, directory, stems[1])
        _draw_efficiency(study, directory, stems[2])
        if study.points[0].components:
            stems.append("waterfall")
            _draw_waterfall(study, directory, "waterfall")
        if not all(math.isnan(layer.value) for layer in study.points[0].layers):
            stems.append("layer_efficiency")
            _draw_layers(study, directory, "layer_efficiency")
    study.table().to_csv(directory / "scaling.csv", index=False)
    return stems


def _rank_axis(study: Study, axes: Axes) -> None:
    ranks = [point.ranks for point in study.points]
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_locator(FixedLocator(ranks))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(PLAIN)
    axes.set_xlim(ranks[0] / 1.2, ranks[-1] * 1.3)
    axes.set_xlabel("ranks")


def _errors(estimates: pd.Series, low: pd.Series, high: pd.Series) -> NDArray[np.float64]:
    """Lengths of error bars; none where there is no interval."""
    return np.asarray(np.nan_to_num(np.clip([estimates - low, high - estimates], 0, None)))


def _draw_time(study: Study, directory: Path, stem: str) -> None:
    table = study.table()
    figure = charts.new_figure()
    axes = figure.subplots()
    axes.fill_between(
        table["ranks"], table["iteration_p10_us"] / 1e3, table["iteration_p90_us"] / 1e3,
        color=charts.BLUE, alpha=0.15, linewidth=0, label="10 % to 90 % of the iterations",
    )  # fmt: skip
    axes.errorbar(
        table["ranks"], table["iteration_us"] / 1e3, marker="o", color=charts.BLUE, capsize=3,
        yerr=_errors(table["iteration_us"], table["iteration_low_us"],
                     table["iteration_high_us"]) / 1e3,
        label="measured (median of the slowest rank, 95 % interval)",
    )  # fmt: skip
    axes.plot(table["ranks"], table["ideal_us"] / 1e3, "--", color=charts.BLACK, label="ideal")
    _rank_axis(study, axes)
    if study.kind == "strong":
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter(PLAIN)
        axes.yaxis.set_minor_locator(NullLocator())
    else:
        axes.set_ylim(0, 1.35 * table["iteration_p90_us"].max() / 1e3)  # room for the legend
    axes.set_ylabel("iteration time, ms")
    axes.set_title(study.title)
    axes.legend()
    charts.save(figure, table, directory, stem)


def _draw_speedup(study: Study, directory: Path, stem: str) -> None:
    columns = ["ranks", "speedup", "speedup_low", "speedup_high", "images_per_s"]
    table = study.table()[columns]
    figure = charts.new_figure()
    axes = figure.subplots()
    axes.errorbar(
        table["ranks"], table["speedup"], marker="o", color=charts.BLUE, capsize=3,
        yerr=_errors(table["speedup"], table["speedup_low"], table["speedup_high"]),
        label="measured (95 % interval)",
    )  # fmt: skip
    axes.plot(table["ranks"], table["ranks"], "--", color=charts.BLACK, label="ideal")
    for ranks, speedup, images in zip(
        table["ranks"], table["speedup"], table["images_per_s"], strict=True
    ):
        axes.annotate(
            f"{images:,.{0 if images >= 100 else 1}f} images/s", (ranks, speedup), (6, -12),
            textcoords="offset points", fontsize=8,
            bbox={"color": "white", "alpha": 0.7, "pad": 0.5},
        )  # fmt: skip
    _rank_axis(study, axes)
    axes.set_xlim(right=table["ranks"].iloc[-1] * 1.6)
    axes.set_yscale("log", base=2)
    axes.yaxis.set_major_formatter(PLAIN)
    axes.set_ylim(bottom=table["speedup"].min() / 1.5)
    what = "speed-up" if study.kind == "strong" else "scaled speed-up"
    axes.set_ylabel(f"{what}, times one rank" if study.points[0].ranks == 1 else what)
    axes.set_title(study.title)
    axes.legend(loc="upper left")
    charts.save(figure, table, directory, stem)


def _draw_efficiency(study: Study, directory: Path, stem: str) -> None:
    table = study.table()[["ranks", "efficiency", "efficiency_low", "efficiency_high"]]
    figure = charts.new_figure()
    axes = figure.subplots()
    axes.axhline(1, linestyle="--", color=charts.BLACK, label="ideal")
    axes.errorbar(
        table["ranks"], table["efficiency"], marker="o", color=charts.BLUE, capsize=3,
        yerr=_errors(table["efficiency"], table["efficiency_low"], table["efficiency_high"]),
        label="measured (95 % interval)",
    )  # fmt: skip
    for ranks, efficiency in zip(table["ranks"], table["efficiency"], strict=True):
        axes.annotate(
            f"{100 * efficiency:.1f} %", (ranks, efficiency), (7, 7), textcoords="offset points",
            fontsize=8,
        )  # fmt: skip
    _rank_axis(study, axes)
    axes.set_ylim(0, max(1.1, 1.05 * np.nanmax(table[["efficiency", "efficiency_high"]])))
    axes.yaxis.set_major_formatter(PercentFormatter(1))
    axes.set_ylabel("efficiency")
    axes.set_title(study.title)
    axes.legend(loc="lower left")
    charts.save(figure, table, directory, stem)


def _draw_waterfall(study: Study, directory: Path, stem: str) -> None:
    rows = []
    for point in study.points[1:]:
        parts = study.waterfall(point)
        bars = [("ideal", study.ideal(point)), *parts.items(), ("measured", point.time)]
        rows += [(point.ranks, name, us, 100 * us / point.time) for name, us in bars]
    table = pd.DataFrame(rows, columns=["ranks", "part", "us", "percent_of_measured"])

    panels = _chosen(study.points[1:])
    across = min(2, len(panels))
    down = math.ceil(len(panels) / across)
    figure = charts.new_figure(5.2 * across + 1.5, 3.6 * down + 0.4)
    grid = list(figure.subplots(down, across, squeeze=False).flat)
    for axes, point in zip(grid, panels, strict=False):
        _draw_bars(study, point, axes)
    for axes in grid[len(panels) :]:
        axes.set_axis_off()
    figure.suptitle(f"{study.title}: from ideal to measured iteration time", fontsize=11)
    charts.save(figure, table, directory, stem)


def _chosen(points: list[Point]) -> list[Point]:
    """As many as fit on one picture, evenly; the CSV has all."""
    if len(points) <= MOST_PANELS:
        return points
    return [points[i] for i in np.linspace(0, len(points) - 1, MOST_PANELS).round().astype(int)]


def _draw_bars(study: Study, point: Point, axes: Axes) -> None:
    """Ideal on top, then what is added and taken away, and what was measured at the bottom."""
    parts = study.waterfall(point)
    names = ["ideal", *(name for name in COMPONENTS if name in parts), "measured"]
    ideal = study.ideal(point)
    largest = max(ideal, point.time)
    axes.barh(0, ideal / 1e3, color=charts.GREEN)
    reached = ideal
    for row, name in enumerate(names[1:-1], start=1):
        axes.barh(row, parts[name] / 1e3, left=reached / 1e3, color=COLOURS[name])
        axes.plot([reached / 1e3] * 2, [row - 1.4, row + 0.4], color=charts.GREY, linewidth=0.8)
        reached += parts[name]
        largest = max(largest, reached)
    axes.barh(len(names) - 1, point.time / 1e3, color=charts.BLACK)
    sums = [ideal, *np.cumsum([ideal, *(parts[name] for name in names[1:-1])])[1:], point.time]
    starts = [0, *sums[:-2], 0]
    for row, (name, end, start) in enumerate(zip(names, sums, starts, strict=True)):
        value = end if name in ("ideal", "measured") else parts[name]
        value = round(value / 1e3, 3) + 0.0  # no -0.000
        sign = "" if name in ("ideal", "measured") else "+"
        axes.annotate(
            f"{value:{sign}.3f}", (max(start, end) / 1e3, row), (4, 0),
            textcoords="offset points", va="center", fontsize=8,
        )  # fmt: skip
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    axes.set_xlim(0, 1.17 * largest / 1e3)
    axes.grid(axis="y", visible=False)
    axes.set_xlabel("ms")
    axes.set_title(f"{point.ranks} ranks", fontsize=10)


def _draw_layers(study: Study, directory: Path, stem: str) -> None:
    rows = [
        (layer, point.ranks, point.layers[i].value, *of_layer)
        for point in study.points
        for i, (layer, of_layer) in enumerate(
            zip(study.layers, study.layer_efficiency(point), strict=True)
        )
    ]
    table = pd.DataFrame(
        rows,
        columns=["layer", "ranks", "time_us", "efficiency", "efficiency_low", "efficiency_high"],
    )
    shown = table["efficiency"].to_numpy().reshape(len(study.points), -1).T
    count = len(study.layers)
    figure = charts.new_figure(3.2 + 0.85 * len(study.points), 1.6 + max(0.24 * count, 1.6))
    axes = figure.subplots()
    image = axes.imshow(shown, cmap="RdYlBu", vmin=0, vmax=2, aspect="auto")
    for row, column in np.ndindex(shown.shape):
        value = float(shown[row, column])
        if not math.isnan(value):
            axes.text(
                column, row, f"{100 * value:.0f}", ha="center", va="center", fontsize=8,
                color="white" if value < 0.35 or value > 1.65 else "black",
            )  # fmt: skip
    axes.set_yticks(range(count), study.layers, fontsize=8)
    axes.set_xticks(range(len(study.points)), [str(point.ranks) for point in study.points])
    axes.set_xlabel("ranks")
    axes.grid(visible=False)
    axes.set_title("Efficiency per layer, %\n" + study.title, fontsize=9)
    bar = figure.colorbar(image, ax=axes, format=PercentFormatter(1), extend="max")
    bar.set_label("ideal over measured time of the layer")
    charts.save(figure, table, directory, stem)
