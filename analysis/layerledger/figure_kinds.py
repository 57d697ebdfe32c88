"""Each kind of figure: what it reads, its table, its drawing.

Iterations before the end of warm-up are drawn on grey ground; statistics leave them out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from .bounds import UNACCOUNTED_MEDIAN_PERCENT
from .charts import BLACK, BLUE, GREY, ORANGE, PHASE_COLOURS, VERMILION, new_figure
from .estimates import of_one_run, ratio
from .reductions import QUANTILES
from .runfile import RunFile
from .series import Series, read_series

MOST_LAYERS: Final = 10
"""So many layers have lines of their own in one figure; the others are one line together."""
PANELS_ACROSS: Final = 3

LINE_STYLES: Final = ("-", "--", ":", "-.")
MARKERS: Final = ("", "o", "s", "^")

# Ten colours that differ in brightness too: Okabe and Ito's, then two of Tol's.
LAYER_COLOURS: Final = (
    "#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7",
    "#56B4E9", "#222222", "#882255", "#999933", "#44AA99",
)  # fmt: skip

_MEDIAN: Final = QUANTILES.index(0.5)
_CUT: Final = ("", "warm-up", "peaks")
_PEAK: Final = 1.5
"""An axis ends so many times above what 98 % of the iterations take, if peaks are twice as high."""


class Drawn(NamedTuple):
    """A figure, the table from which it was drawn, and a name for both's files."""

    figure: Figure
    table: pd.DataFrame
    stem: str


def has_both_profilings(run: RunFile) -> bool:
    """Whether iterations after warm-up were profiled, and others not."""
    profiled = run.profiled[~run.warmup]
    return bool(profiled.any() and not profiled.all())


def profiling_cost_within(run: RunFile) -> Drawn | None:
    """Iterations that were profiled against those that were not, in one run; None without both.

    The percentage is the file's own, from pairs of neighbours, with its 95 % interval.
    """
    if not has_both_profilings(run):
        return None
    slowest = run.read("iteration_time").max(axis=1) / 1e3
    rows = ~run.warmup
    times = {
        "no profiling": slowest[rows & ~run.profiled],
        "profiling": slowest[rows & run.profiled],
    }
    overhead = run.overhead
    text = "cost of profiling not estimated (too few pairs)"
    if overhead:
        text = (
            f"profiling costs {overhead['percent']:+.2f} % (95 %: {overhead['low']:+.2f} to "
            f"{overhead['high']:+.2f} %, {overhead['pairs']} pairs)"
        )
    figure, table = _two_bars(times, f"{describe(run)}\n{text}; warm-up left out")
    return Drawn(figure, table, "profiling")


def profiling_cost(on: RunFile, off: RunFile) -> Drawn:
    """Two runs, one profiled and one not, that differ in nothing else.

    The interval covers what varies within them, not from one start to the next.
    """
    times = {
        "no profiling": off.read("iteration_time").max(axis=1)[off.steady] / 1e3,
        "profiling": on.read("iteration_time").max(axis=1)[on.measured] / 1e3,
    }
    plain, profiled = (of_one_run(values, seed) for seed, values in enumerate(times.values()))
    change, low, high = (100 * (end - 1) for end in ratio(profiled, plain))
    within = "" if np.isnan(low) else f" (95 % within the two: {low:+.2f} to {high:+.2f} %)"
    text = f"medians of two runs differ by {change:+.2f} %{within}; warm-up left out"
    figure, table = _two_bars(times, f"{describe(on)}\n{text}")
    return Drawn(figure, table, "profiling")


def _two_bars(times: dict[str, NDArray[Any]], title: str) -> tuple[Figure, pd.DataFrame]:
    figure = new_figure(7.5, 3)
    axes = figure.subplots()
    table = pd.DataFrame(
        [
            {
                "configuration": name,
                "iterations": values.size,
                **{
                    f"{label}_ms": np.quantile(values, q)
                    for label, q in (("p25", 0.25), ("median", 0.5), ("p75", 0.75))
                },
            }
            for name, values in times.items()
        ]
    )
    spread = np.abs(table[["p25_ms", "p75_ms"]].to_numpy().T - table["median_ms"].to_numpy())
    axes.barh(
        table["configuration"], table["median_ms"], xerr=spread, capsize=4,
        color=[GREY, BLUE], height=0.55, error_kw={"ecolor": BLACK, "elinewidth": 1},
    )  # fmt: skip
    end = float((table["median_ms"] + spread[1]).max())
    for i, (value, upper) in enumerate(zip(table["median_ms"], spread[1], strict=True)):
        axes.annotate(f"{value:.4g} ms", (value + upper, i), (6, 0), textcoords="offset points",
                      va="center")  # fmt: skip
    axes.set_xlim(0, end * 1.16)
    axes.grid(axis="y", visible=False)
    axes.set_xlabel("iteration time of the slowest rank (ms): median, 25th to 75th percentile")
    figure.suptitle(title, fontsize=10, x=0.01, ha="left")
    return figure, table


def layers_over_iterations(run: RunFile) -> Iterator[Drawn]:
    """Each layer's time (forward + backward + update) against the iteration.

    One figure a rank where ranks are few; else one with a panel a layer, as bands of many layers
    would hide each other: median over ranks, band from the 5th to the 95th percentile. With many
    layers the longest are shown, and the others as their sum.
    """
    series = read_series(run, ["layer_time"], lambda time: _sum_phases(time) / 1e3)
    if series.is_band:
        yield _layer_panels(run, series)
        return
    for rank in range(run.ranks):
        one = series.map(lambda values, rank=rank: values[:, rank : rank + 1])  # type: ignore[misc]
        yield _layer_lines(run, one, rank)


def _by_length(series: Series) -> tuple[list[int], list[int]]:
    """Layers shown one by one, in the network's order, and those that are shown as their sum."""
    middle = _MEDIAN if series.is_band else 0
    steady = series.data[~series.warmup] if (~series.warmup).any() else series.data
    order = np.argsort(-np.nan_to_num(np.nanmedian(steady[:, middle], axis=0))).tolist()
    if len(order) <= MOST_LAYERS + 1:
        return sorted(order), []
    return sorted(order[:MOST_LAYERS]), sorted(order[MOST_LAYERS:])


def _layer_panels(run: RunFile, series: Series) -> Drawn:
    """A panel for each layer with one axis of time for all; the sum of the others has its own."""
    shown, others = _by_length(series)
    panels = len(shown) + bool(others)
    down = -(-panels // PANELS_ACROSS)
    figure = new_figure(10, 1.3 + 1.75 * down)
    grid = list(figure.subplots(down, PANELS_ACROSS, sharex=True, squeeze=False).flat)
    for axes in grid[panels:]:
        axes.set_axis_off()
    for axes in grid[1 : len(shown)]:
        axes.sharey(grid[0])
    last_of_column = panels - PANELS_ACROSS
    for i, (axes, layer) in enumerate(zip(grid, shown, strict=False)):
        _line(axes, series, series.data[:, :, layer], BLUE, "median")
        _finish(axes, series, "layer time (ms)" if i % PANELS_ACROSS == 0 else "",
                run.layers[layer], last=i >= last_of_column)  # fmt: skip
        axes.tick_params(labelbottom=i >= last_of_column)
    clipped = _from_zero(grid[0], series, series.data[:, :, shown])
    if others:
        axes = grid[len(shown)]
        total = np.nansum(series.data[:, _MEDIAN, others], axis=1)
        axes.plot(series.iterations, total, color=GREY, lw=1.6, ls="--")
        clipped = max(clipped, _from_zero(axes, series, total), key=_CUT.index)
        _finish(axes, series, "sum of medians (ms)", f"the other {len(others)} layers, summed")
        axes.tick_params(labelbottom=True)
    for axes in grid[:panels]:
        if axes.get_xlabel():
            axes.set_xlabel(_x_label(series, clipped), fontsize=8.5)
    longest = f"; the {len(shown)} longest layers" if others else ""
    figure.suptitle(f"{describe(run)}\nlayer time, {_band_text(run)}{longest}",
                    fontsize=10, x=0.01, ha="left")  # fmt: skip
    return Drawn(figure, series.table(run.layers, "ms"), "layers")


def _layer_lines(run: RunFile, series: Series, rank: int) -> Drawn:
    shown, others = _by_length(series)
    figure = new_figure(9.5, 6.5 if others else 5)
    axes, *below = figure.subplots(
        1 + bool(others), sharex=True, squeeze=False, height_ratios=[3, 1][: 1 + bool(others)]
    )[:, 0]
    for colour, layer in enumerate(shown):
        _line(
            axes,
            series,
            series.data[:, :, layer],
            LAYER_COLOURS[colour % len(LAYER_COLOURS)],
            run.layers[layer],
            LINE_STYLES[colour // len(LAYER_COLOURS)],
        )
    title = f"{describe(run)}\nlayer time, rank {rank}"
    if others:
        title += f"; the {len(shown)} longest layers"
    clipped = _from_zero(axes, series, series.data[:, :, shown])
    _finish(axes, series, "layer time (ms)", title, last=not others, clipped=clipped)
    _legend(axes, series)
    for lower in below:
        total = np.nansum(series.data[:, 0, others], axis=1)
        lower.plot(series.iterations, total, color=GREY, lw=1.6, ls="--")
        clipped = _from_zero(lower, series, total)
        title = f"the other {len(others)} layers, summed"
        _finish(lower, series, "sum (ms)", title, clipped=clipped)
    table = series.table(run.layers, "ms")
    table["rank"] = rank
    return Drawn(figure, table, f"layers-rank-{rank}")


def phases_over_iterations(run: RunFile, layers: Sequence[str]) -> Iterator[Drawn]:
    """Forward, backward and update of one layer against the iteration, for each layer."""
    series = read_series(run, ["layer_time"], lambda time: time / 1e3)
    for layer in layers:
        i = run.layers.index(layer)
        one = series.map(lambda values, i=i: values[:, :, i])  # type: ignore[misc]
        figure = new_figure(9, 4.2)
        axes = figure.subplots()
        for p, phase in enumerate(run.phases):
            if np.isnan(one.data[:, :, p]).all():
                continue  # such as the update of a layer without parameters
            if one.is_band:
                _line(axes, one, one.data[:, :, p], PHASE_COLOURS[phase], phase)
                continue
            for rank in range(run.ranks):
                axes.plot(
                    one.iterations, one.data[:, rank, p], color=PHASE_COLOURS[phase], lw=1.4,
                    ls=LINE_STYLES[rank % 4], label=f"{phase}, rank {rank}",
                )  # fmt: skip
        text = _band_text(run) if one.is_band else "each rank"
        clipped = _from_zero(axes, one, one.data)
        title = f"{describe(run)}\n{layer}, {text}"
        _finish(axes, one, f"{layer} time (ms)", title, clipped=clipped)
        _legend(axes, one)
        yield Drawn(figure, one.table(run.phases, "ms"), f"phases-{i:02d}-{layer}")


def total_and_layers(run: RunFile) -> Drawn:
    """Iteration time against the sum of layers, and against layers and activities together."""
    series = read_series(
        run,
        ["iteration_time", "layer_time", "activity_time"],
        lambda total, layer, activity: (
            np.stack(
                [
                    total,
                    np.nansum(layer, axis=(2, 3)),
                    np.nansum(layer, axis=(2, 3)) + np.nansum(activity, axis=2),
                ],
                axis=2,
            )
            / 1e3
        ),
    )
    parts = [
        ("iteration time", BLACK, "-"),
        ("layers", BLUE, "-"),
        ("layers and activities", ORANGE, "--"),
    ]
    panels = 1 if series.is_band else run.ranks
    figure = new_figure(9.5, 1.6 + 2.4 * panels if panels > 1 else 4.5)
    many = figure.subplots(panels, sharex=True, sharey=True, squeeze=False)[:, 0]
    for rank, axes in enumerate(many):
        for i, (label, colour, style) in enumerate(parts):
            values = series.data[:, :, i]
            if not series.is_band:
                values = values[:, rank : rank + 1]
            _line(axes, series, values, colour, label, style, 2.2 if i == 0 else 1.6)
        clipped = _from_zero(axes, series, series.data)
        where = _band_text(run) if series.is_band else f"rank {rank}"
        title = f"{describe(run)}\niteration time and sum of layers, {where}"
        last = rank == panels - 1
        _finish(
            axes, series, "time (ms)", title if rank == 0 else where, last=last, clipped=clipped
        )
    _legend(many[0], series)
    names = ["iteration", "layers", "layers_and_activities"]
    return Drawn(figure, series.table(names, "ms"), "total")


def percentage_error(run: RunFile) -> Drawn:
    """What is missing of the iteration time: in the sum of layers, and in the whole account."""
    series = read_series(
        run,
        ["iteration_time", "layer_time", "unaccounted"],
        lambda total, layer, unaccounted: (
            100
            * np.stack([total - np.nansum(layer, axis=(2, 3)), np.abs(unaccounted)], axis=2)
            / total[:, :, None]
        ),
    )
    figure = new_figure(9.5, 6)
    upper, lower = figure.subplots(2, sharex=True)
    for axes, i, label in ((upper, 0, "not in a layer (%)"), (lower, 1, "unaccounted (%)")):
        values = series.data[:, :, i]
        if series.is_band:
            _line(axes, series, values, BLUE, "median over ranks")
        else:
            for rank in range(run.ranks):
                axes.plot(series.iterations, values[:, rank], lw=1.4, label=f"rank {rank}",
                          color=LAYER_COLOURS[rank % 10], ls=LINE_STYLES[rank % 4])  # fmt: skip
        title = (
            f"{describe(run)}\n(iteration time - sum of layers) / iteration time"
            if i == 0
            else "|iteration time - layers - activities| / iteration time"
        )
        _finish(axes, series, label, title, last=i == 1)
    upper.set_ylim(bottom=min(0, float(np.nanmin(series.data[:, :, 0]))))
    lower.axhline(UNACCOUNTED_MEDIAN_PERCENT, color=VERMILION, ls=":", lw=1.4,
                  label=f"bound of the median, {UNACCOUNTED_MEDIAN_PERCENT} %")  # fmt: skip
    lower.set_yscale("log")
    lower.yaxis.set_major_formatter("{x:g}")
    for axes in (upper, lower):
        _legend(axes, series)
    return Drawn(figure, series.table(["not_in_layers", "unaccounted"], "percent"), "error")


def describe(run: RunFile) -> str:
    """A title: the run's name, its network and size."""
    ranks = "1 rank" if run.ranks == 1 else f"{run.ranks} ranks"
    return (
        f"{run.title}: {run.network.get('name', 'network')}, {ranks} x batch {run.per_rank_batch}"
    )


def _sum_phases(time: NDArray[Any]) -> NDArray[Any]:
    total: NDArray[Any] = np.nansum(time, axis=3)
    total[np.isnan(time).all(axis=3)] = np.nan
    return total


def _band_text(run: RunFile) -> str:
    return f"median over {run.ranks} ranks, band 5th to 95th percentile"


def _line(
    axes: Axes, series: Series, values: NDArray[Any], colour: str, label: str, style: str = "-",
    width: float = 1.6,
) -> None:  # fmt: skip
    """`values` is [row, line]: the quantiles of a band, or one line."""
    if series.is_band:
        axes.fill_between(
            series.iterations, values[:, 0], values[:, -1], color=colour, alpha=0.2, lw=0
        )
    axes.plot(
        series.iterations, values[:, _MEDIAN if series.is_band else 0], color=colour, lw=width,
        ls=style, label=label,
    )  # fmt: skip


def _from_zero(axes: Axes, series: Series, values: NDArray[Any]) -> str:
    """An axis from 0 to a bit above what comes after warm-up, unless a few peaks squeeze the rest.

    Returns what lies above it: nothing, "warm-up" or "peaks".
    """
    steady = values[~series.warmup] if (~series.warmup).any() else values
    if not np.isfinite(steady).any():
        axes.set_ylim(0, 1)
        return ""
    peak = float(np.nanmax(steady))
    usual = _PEAK * float(np.nanmax(np.nanquantile(steady, 0.98, axis=0)))
    top = 1.08 * (usual if peak > 2 * usual else peak)
    axes.set_ylim(0, top or 1.0)
    if peak > top:
        return "peaks"
    return "warm-up" if np.nanmax(values) > top else ""


def _finish(
    axes: Axes,
    series: Series,
    y_label: str,
    title: str,
    last: bool = True,
    clipped: str = "",
) -> None:
    axes.set_title(title, fontsize=10)
    axes.set_ylabel(y_label)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.margins(x=0.01)
    if last:
        axes.set_xlabel(_x_label(series, clipped))
    for start in series.starts:
        axes.axvline(start - series.step / 2, color=GREY, ls=":", lw=1.2, zorder=1)
    if series.warmup.any():
        end = series.iterations[np.flatnonzero(series.warmup)[-1]] + series.step / 2
        axes.axvspan(series.iterations[0] - series.step / 2, end, color="#EDEDED", lw=0, zorder=0)


def _x_label(series: Series, clipped: str) -> str:
    thinned = f", each point the mean of {series.step}" if series.step > 1 else ""
    cut = ", partly above the axis" if clipped == "warm-up" else ""
    marks = [f"grey: warm-up{cut}"] if series.warmup.any() else []
    marks += ["peaks above the axis"] if clipped == "peaks" else []
    marks += ["dotted: started again"] if series.starts else []
    return f"iteration{thinned}" + (f" ({'; '.join(marks)})" if marks else "")


def _legend(axes: Axes, series: Series) -> None:
    """Beside the axes, where it hides nothing; a band is explained once."""
    handles, labels = axes.get_legend_handles_labels()
    if series.is_band:
        handles.append(Patch(color=GREY, alpha=0.4, lw=0))
        labels.append("band: 5th to 95th\npercentile over ranks")
    axes.legend(handles, labels, loc="upper left", bbox_to_anchor=(1.01, 1), borderaxespad=0)
