"""The command `figures`: every kind, its files and its numbers."""

import pathlib
import types

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from layerledger import RunFile, figure_kinds, series
from layerledger.charts import STYLE
from layerledger.cli import main
from synthetic import Synthetic

LAYERS = [f"conv{i + 1}" for i in range(57)] + ["fc1", "fc2", "output"]


def draw(tmp_path, *runs, words=()):
    return main(["figures", *map(str, runs), "-o", str(tmp_path / "figures"), *words])


def test_every_kind_is_written_thrice(tmp_path):
    made = Synthetic(ranks=3, iterations=12, every=2, overhead={"percent": 0.2, "low": 0.1,
                                                                "high": 0.3, "pairs": 8})
    assert draw(tmp_path, made.write(tmp_path / "run.h5")) == 0
    stems = {"profiling", "layers-rank-0", "layers-rank-1", "layers-rank-2", "phases-00-conv1",
             "phases-01-conv2", "phases-02-fc1", "total", "error"}
    files = {path.name for path in (tmp_path / "figures" / "run").iterdir()}
    assert files == {f"{stem}.{ending}" for stem in stems for ending in ("png", "svg", "csv")}
    for stem in stems:
        assert (tmp_path / "figures" / "run" / f"{stem}.png").read_bytes()[:4] == b"\x89PNG"
        svg = (tmp_path / "figures" / "run" / f"{stem}.svg").read_text()
        assert "synthetic: lenet5, 3 ranks x batch 8" in svg  # the title, as text


def test_the_csv_has_the_numbers_drawn(tmp_path):
    made = Synthetic(ranks=2, iterations=10, noise=0.1)
    draw(tmp_path, made.write(tmp_path / "run.h5"))
    arrays = made.arrays()
    folder = tmp_path / "figures" / "run"
    layers = pd.read_csv(folder / "layers-rank-1.csv")
    assert list(layers.columns) == ["iteration", "warmup", "rank", "conv1_ms", "conv2_ms", "fc1_ms"]
    expected = arrays["layer_time"][:, 1].sum(2) / 1e3
    np.testing.assert_allclose(layers.filter(like="_ms"), expected, rtol=1e-5)
    assert layers["warmup"].tolist() == [1, 1] + [0] * 8
    phases = pd.read_csv(folder / "phases-01-conv2.csv")
    of_rank_1 = phases[phases["rank"] == 1]
    np.testing.assert_allclose(of_rank_1["backward_ms"], arrays["layer_time"][:, 1, 1, 1] / 1e3,
                               rtol=1e-5)
    total = pd.read_csv(folder / "total.csv")
    accounted = total["layers_and_activities_ms"] + 1e-3  # 1 us is unaccounted
    np.testing.assert_allclose(accounted, total["iteration_ms"], rtol=1e-5)
    error = pd.read_csv(folder / "error.csv")
    np.testing.assert_allclose(
        error["unaccounted_percent"], 100e-3 / total["iteration_ms"], rtol=1e-4)
    np.testing.assert_allclose(
        error["not_in_layers_percent"], 100 * (1 - total["layers_ms"] / total["iteration_ms"]),
        rtol=1e-3)


def texts_of(figure):
    """Every text of a figure that has been drawn: (text, its box)."""
    renderer = figure.canvas.get_renderer()
    texts = [figure._suptitle] if figure._suptitle else []
    for axes in (axes for axes in figure.axes if axes.axison):
        texts += [axes.title, axes._left_title, axes.xaxis.label, axes.yaxis.label, *axes.texts]
        texts += axes.get_legend().get_texts() if axes.get_legend() else []
        for axis, limits in ((axes.xaxis, axes.get_xlim()), (axes.yaxis, axes.get_ylim())):
            texts += [tick.label1 for tick in axis.get_major_ticks()
                      if min(limits) <= tick.get_loc() <= max(limits)]
    return [(text.get_text(), text.get_window_extent(renderer)) for text in texts
            if text.get_visible() and text.get_text()]


def look_at(figure):
    """Fails where a text is cut or over another, or where a legend hides data."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    width, height = figure.get_size_inches() * figure.dpi
    texts = texts_of(figure)
    for i, (text, box) in enumerate(texts):
        assert box.x0 > -1 and box.y0 > -1 and box.x1 < width + 1 and box.y1 < height + 1, text
        for other, that in texts[i + 1:]:
            across = min(box.x1, that.x1) - max(box.x0, that.x0)
            along = min(box.y1, that.y1) - max(box.y0, that.y0)
            assert across < 1 or along < 1, f"{text} over {other}"
    for axes in figure.axes:
        if axes.get_legend():
            box = axes.get_legend().get_window_extent(canvas.get_renderer())
            assert not box.overlaps(axes.get_window_extent()), "the legend hides data"


LONG_NAMES = ["conv1", *(f"layer{1 + i // 15}.{i % 15 // 3}.conv{i % 3 + 1}" for i in range(58)),
              "fully_connected"]
SIZES = {
    "3 ranks, 8 layers": {"ranks": 3, "layers": LAYERS[-8:], "every": 2},
    "2 ranks, 60 layers": {"ranks": 2, "layers": LONG_NAMES},
    "512 ranks, 60 layers": {"ranks": 512, "layers": LONG_NAMES},
    "512 ranks, 8 layers": {"ranks": 512, "layers": LAYERS[-8:]},
}


@pytest.mark.parametrize("size", SIZES)
def test_no_text_is_cut_or_over_another(tmp_path, size):
    count = len(SIZES[size]["layers"])
    times = np.outer(400 + 37 * (np.arange(count) * 31 % count), (1, 2.1, 0.05))  # near each other
    made = Synthetic(iterations=12, noise=0.06, layer_us=times, **SIZES[size])
    with RunFile(made.write(tmp_path / "run.h5")) as run, mpl.rc_context(STYLE):
        drawn = [*figure_kinds.layers_over_iterations(run),
                 *figure_kinds.phases_over_iterations(run, run.layers[-2:]),
                 figure_kinds.total_and_layers(run), figure_kinds.percentage_error(run)]
        within = figure_kinds.profiling_cost_within(run)
        for one in [*drawn, *([within] if within else [])]:
            look_at(one.figure)
            bands = [axes for axes in one.figure.axes if axes.collections and axes.get_legend()]
            for axes in bands:  # each is explained
                assert any("5th to 95th" in text.get_text() for text in
                           axes.get_legend().get_texts())


def test_a_text_over_another_would_be_seen():
    with mpl.rc_context(STYLE):
        figure = figure_kinds.new_figure()
        axes = figure.subplots()
        axes.annotate("one", (0.5, 0.5))
        axes.annotate("two", (0.5, 0.51))
        with pytest.raises(AssertionError, match="one over two"):
            look_at(figure)


def test_many_ranks_become_bands_in_a_panel_each(tmp_path):
    made = Synthetic(ranks=512, iterations=12, layers=LAYERS, noise=0.1, title="large",
                     layer_us=np.outer(1 + np.arange(60), (10, 20, 1)))
    with RunFile(made.write(tmp_path / "run.h5")) as run, mpl.rc_context(STYLE):
        drawn = [*figure_kinds.layers_over_iterations(run),
                 *figure_kinds.phases_over_iterations(run, ["conv1"]),
                 figure_kinds.total_and_layers(run), figure_kinds.percentage_error(run)]
        assert [one.stem for one in drawn] == ["layers", "phases-00-conv1", "total", "error"]
        panels = [axes for axes in drawn[0].figure.axes if axes.axison]
        titles = [axes.get_title(loc="left") for axes in panels]
        assert len(titles) == 11 and "output" in titles and "conv1" not in titles
        assert titles[-1] == "the other 50 layers, summed"
        assert len({axes.get_ylim() for axes in panels[:-1]}) == 1  # so that they compare
        others = np.median(made.arrays()["layer_time"].sum(3), axis=1)[:, :50].sum(1) / 1e3
        np.testing.assert_allclose(panels[-1].lines[0].get_ydata(), others, rtol=1e-5)
        table = drawn[0].table
        assert sorted(table["percentile"].unique()) == [5, 25, 50, 75, 95]
        time = made.arrays()["layer_time"][:, :, 59].sum(2)
        np.testing.assert_allclose(table[table["percentile"] == 95]["output_ms"],
                                   np.quantile(time, 0.95, axis=1) / 1e3, rtol=1e-5)


def test_long_runs_are_drawn_as_means_of_neighbours(tmp_path, monkeypatch):
    monkeypatch.setattr(series, "MOST_POINTS", 10)
    made = Synthetic(iterations=35, warmup=0, noise=0.1)
    with RunFile(made.write(tmp_path / "run.h5")) as run:
        read = series.read_series(run, ["iteration_time"], lambda time: time)
    assert read.step == 4 and read.iterations.tolist() == list(range(0, 35, 4))
    expected = made.arrays()["iteration_time"]
    np.testing.assert_allclose(read.data[0], expected[:4].mean(0), rtol=1e-6)
    np.testing.assert_allclose(read.data[-1], expected[32:].mean(0), rtol=1e-6)


def test_a_warm_up_far_above_the_rest_is_cut_and_that_is_said(tmp_path):
    made = Synthetic(iterations=12, drift=lambda i: np.where(i == 0, 9.0, 1.0))
    with RunFile(made.write(tmp_path / "run.h5")) as run, mpl.rc_context(STYLE):
        axes = figure_kinds.total_and_layers(run).figure.axes
    assert axes[-1].get_xlabel() == "iteration (grey: warm-up, partly above the axis)"
    assert axes[0].get_ylim()[1] == pytest.approx(1.08 * 1.926, rel=1e-3)


def test_a_few_peaks_do_not_squeeze_the_rest(tmp_path):
    given = {"ranks": 2, "iterations": 100, "warmup": 0}
    labels = {}
    for name, factor in (("peaks", 30.0), ("high", 2.0)):
        made = Synthetic(drift=lambda i, f=factor: np.where(i == 50, f, 1.0), **given)
        with RunFile(made.write(tmp_path / "run.h5")) as run, mpl.rc_context(STYLE):
            axes = next(figure_kinds.layers_over_iterations(run)).figure.axes[0]
        labels[name] = axes.get_xlabel(), axes.get_ylim()[1]
    assert labels["peaks"][0] == "iteration (peaks above the axis)"
    assert labels["peaks"][1] == pytest.approx(1.08 * 1.5 * 0.93, rel=1e-5)
    assert labels["high"] == ("iteration", pytest.approx(1.08 * 2 * 0.93, rel=1e-5))


def test_where_a_run_was_started_again_is_marked():
    kept = pathlib.Path(__file__).parent / "fixtures" / "run-1.2.0.h5"
    with RunFile(kept) as run, mpl.rc_context(STYLE):
        for axes in figure_kinds.total_and_layers(run).figure.axes:
            assert [4.5] in [sorted(set(line.get_xdata())) for line in axes.lines]
        assert "dotted: started again" in axes.get_xlabel()


@pytest.mark.parametrize(("starts", "kept"), [
    ([], ()), ([0], ()), ([0, 5], (5,)), ([0, 5, 8], (5, 8)), ([0, 10, 5], (5,)),
    ([0, 5, 10, 5, 8], (5, 8)), ([0, 5, 0], ()), ([0, 30], ()),
])
def test_a_start_replaces_what_was_after_its_checkpoint(starts, kept):
    run = types.SimpleNamespace(starts=pd.DataFrame({"iteration": starts}),
                                read=lambda _: np.arange(20))
    assert series.later_starts(run) == kept


def test_two_runs_of_which_one_was_not_profiled(tmp_path):
    on = Synthetic(measurement_us=100).write(tmp_path / "on.h5")
    off = Synthetic(level="off", measurement_us=0, title="plain").write(tmp_path / "off.h5")
    assert draw(tmp_path, on, off, words=["--kinds", "profiling"]) == 0
    table = pd.read_csv(tmp_path / "figures" / "profiling-on-off.csv", index_col="configuration")
    assert table.loc["profiling", "median_ms"] - table.loc["no profiling", "median_ms"] == \
        pytest.approx(0.1)
    title = (tmp_path / "figures" / "profiling-on-off.svg").read_text()
    percent = 100 * 0.1 / table.loc["no profiling", "median_ms"]
    assert f"differ by +{percent:.2f} % (95 % within the two: +{percent:.2f} to" in title


def test_runs_that_differ_otherwise_are_not_compared(tmp_path, capsys):
    on = Synthetic().write(tmp_path / "on.h5")
    off = Synthetic(level="off", per_rank_batch=16).write(tmp_path / "off.h5")
    assert draw(tmp_path, on, off, words=["--kinds", "profiling"]) == 65
    assert "no two differ only in profiling" in capsys.readouterr().err


@pytest.mark.parametrize("level", ["off", "iteration"])
def test_a_run_without_layers_is_refused(tmp_path, capsys, level):
    assert draw(tmp_path, Synthetic(level=level).write(tmp_path / "run.h5")) == 65
    error = capsys.readouterr().err
    assert "run.h5" in error and f"level '{level}'" in error and "--profile.level layer" in error


def test_only_some_layers(tmp_path, capsys):
    run = Synthetic().write(tmp_path / "run.h5")
    words = ["--kinds", "phases", "--layers", "fc1"]
    assert draw(tmp_path, run, words=words) == 0
    assert len(list((tmp_path / "figures" / "run").iterdir())) == 3
    assert draw(tmp_path, run, words=["--layers", "fc9"]) == 64
    assert "has no layer fc9: it has conv1, conv2, fc1" in capsys.readouterr().err


def test_runs_of_the_same_name_do_not_overwrite_each_other(tmp_path):
    (tmp_path / "a").mkdir()
    runs = [Synthetic().write(tmp_path / "run.h5"), Synthetic().write(tmp_path / "a" / "run.h5")]
    assert draw(tmp_path, *runs, words=["--kinds", "total"]) == 0
    assert sorted(path.name for path in (tmp_path / "figures").iterdir()) == ["run", "run-2"]


def test_an_output_that_is_a_file_is_refused(tmp_path, capsys):
    (tmp_path / "figures").write_text("")
    assert draw(tmp_path, Synthetic().write(tmp_path / "run.h5")) == 73
    assert "cannot make this folder" in capsys.readouterr().err
