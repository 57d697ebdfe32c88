"""`layerledger-analysis scaling`: known studies, their files, and what may not be mixed."""

import xml.etree.ElementTree as ElementTree

import numpy as np
import pandas as pd
import pytest

from layerledger import AnalysisError, RunFile, RunFileWarning
from layerledger.cli import main
from layerledger.study import build_study
from synthetic import Synthetic

# [layer][phase] of one rank; everything besides takes 36 us at one rank.
BASE = np.outer([4.0, 8.0, 2.0], [100.0, 200.0, 10.0])


def strong(tmp_path, ranks, name="strong", **given):
    given = {"layer_us": BASE / ranks, "transfer_us": 0 if ranks == 1 else 50 * ranks,
             "per_rank_batch": 64 // ranks, "iterations": 62} | given
    return Synthetic(ranks=ranks, **given).write(tmp_path / f"{name}-{ranks}.h5")


def weak(tmp_path, ranks, name="weak", **given):
    return strong(tmp_path, ranks, name,
                  **{"layer_us": BASE, "per_rank_batch": 32, **given})


def study_of(paths, **options):
    runs = [RunFile(path) for path in paths]
    try:
        return build_study(runs, **options)
    finally:
        for run in runs:
            run.close()


def test_strong_scaling_of_known_times(tmp_path):
    study = study_of([strong(tmp_path, ranks) for ranks in (4, 1, 2)])  # in any order
    assert study.kind == "strong" and study.batch == 64
    assert study.title == "Strong scaling of lenet5, 64 images an iteration"
    work = BASE.sum()
    times = {1: work + 36, 2: work / 2 + 136, 4: work / 4 + 236}
    table = study.table().set_index("ranks")
    for ranks, time in times.items():
        row = table.loc[ranks]
        assert row["iteration_us"] == pytest.approx(time, rel=1e-5)
        assert row["ideal_us"] == pytest.approx(times[1] / ranks, rel=1e-5)
        assert row["efficiency"] == pytest.approx(times[1] / ranks / time, rel=1e-5)
        assert row["speedup"] == pytest.approx(times[1] / time, rel=1e-5)
        assert row["images_per_s"] == pytest.approx(64e6 / time, rel=1e-5)
        assert row["global_batch"] == 64 and row["nodes"] == 1
    parts = study.waterfall(study.points[2])
    assert parts["compute"] == pytest.approx(0, abs=1e-2)
    assert parts["exposed transfer"] == pytest.approx(200, rel=1e-4)
    assert parts["input"] == pytest.approx(20 * 3 / 4, rel=1e-4)
    assert parts["idle"] == pytest.approx(8 * 3 / 4, rel=1e-4)
    for point in study.points:
        assert sum(study.waterfall(point).values()) == pytest.approx(
            point.time - study.ideal(point), abs=1e-6)
    for of_layer in study.layer_efficiency(study.points[2]):
        assert of_layer.estimate == pytest.approx(1, rel=1e-5)


def test_weak_scaling_of_known_times(tmp_path):
    slower = BASE * [[1.0], [1.25], [1.0]]  # conv2 takes a quarter more with 4 ranks
    study = study_of([weak(tmp_path, 2), weak(tmp_path, 4, layer_us=slower)])
    assert study.kind == "weak" and study.batch == 32
    assert study.title == "Weak scaling of lenet5, 32 images per rank, relative to 2 ranks"
    base, point = study.points
    at_2, at_4 = BASE.sum() + 136, slower.sum() + 236
    assert study.efficiency(point).estimate == pytest.approx(at_2 / at_4, rel=1e-5)
    assert study.speedup(point).estimate == pytest.approx(4 * at_2 / at_4, rel=1e-5)
    assert study.efficiency(base) == (1, 1, 1)
    of_layers = [each.estimate for each in study.layer_efficiency(point)]
    assert of_layers == pytest.approx([1, 0.8, 1], rel=1e-5)
    assert study.waterfall(point)["compute"] == pytest.approx(0.25 * BASE[1].sum(), rel=1e-4)


def test_a_slow_rank_is_waited_for(tmp_path):
    study = study_of([weak(tmp_path, 1), weak(tmp_path, 2, slow={(1, "conv2"): 1.5})])
    parts = study.waterfall(study.points[1])
    extra = 0.5 * BASE[1].sum()
    assert parts["wait"] == pytest.approx(extra / 2, rel=1e-4)  # mean over both ranks
    assert parts["compute"] == pytest.approx(extra / 2, rel=1e-4)


def test_time_is_the_median_of_the_slowest_rank(tmp_path):
    gaps = {(i, 1): 5000.0 for i in range(10, 20)}  # a few long iterations do not count
    study = study_of([weak(tmp_path, 1), weak(tmp_path, 2, gaps=gaps)])
    assert study.points[1].time == pytest.approx(BASE.sum() + 136, rel=1e-5)
    assert study.points[1].p90 == pytest.approx(BASE.sum() + 136 + 5000, rel=1e-4)
    gaps = {(i, 1): 5000.0 for i in range(62)}  # but a rank that is always late does
    study = study_of([weak(tmp_path, 1), weak(tmp_path, 2, gaps=gaps)])
    assert study.points[1].time == pytest.approx(BASE.sum() + 5136, rel=1e-5)


def test_intervals_hold_the_truth_and_repetitions_widen_them(tmp_path):
    noisy = {"noise": 0.05, "iterations": 202}
    one = study_of([weak(tmp_path, 1, seed=1, **noisy), weak(tmp_path, 2, seed=2, **noisy)])
    efficiency = one.efficiency(one.points[1])
    assert efficiency.low < efficiency.estimate < efficiency.high
    assert efficiency.high - efficiency.low < 0.05
    assert any("one run a point" in note for note in one.notes)
    paths = [weak(tmp_path, ranks, f"rep{i}", seed=i, layer_us=BASE * (1 + 0.1 * i), **noisy)
             for ranks in (1, 2) for i in range(3)]
    many = study_of(paths)
    assert [point.runs for point in many.points] == [3, 3]
    assert any("several runs a point" in note for note in many.notes)
    wide = many.efficiency(many.points[1])
    assert wide.high - wide.low > 2 * (efficiency.high - efficiency.low)
    mixed = study_of([*paths[:3], paths[3]])
    assert [point.runs for point in mixed.points] == [3, 1]
    assert any(note.startswith("one run a point with 2 ranks") for note in mixed.notes)
    assert mixed.efficiency(mixed.points[1]).low < mixed.efficiency(mixed.points[1]).high


def test_the_interval_of_repetitions_is_students(tmp_path):
    """Medians 2000, 2020 and 2040 us: their standard error is 20 / sqrt(3), t of 2 is 4.3027."""
    def run(ranks, i, us):
        return weak(tmp_path, ranks, f"rep{i}", layer_us=[(us - 36 - 50 * 2 * (ranks > 1), 0, 0)],
                    layers=("conv1",), buckets=1)
    paths = [run(ranks, i, us) for ranks in (1, 2) for i, us in enumerate((2000, 2020, 2040))]
    row = study_of(paths).table().iloc[0]
    assert row["iteration_us"] == pytest.approx(2020, rel=1e-6)
    half = 4.3027 * 20 / np.sqrt(3)
    assert row["iteration_high_us"] == pytest.approx(2020 * np.exp(half / 2020), rel=1e-5)
    assert row["iteration_low_us"] == pytest.approx(2020 / np.exp(half / 2020), rel=1e-5)


@pytest.mark.parametrize("given, words", [
    ({"config": {"sync.bucket_mb": "1"}}, "config.sync.bucket_mb ('25' in *weak-1.h5, '1' in"),
    ({"config": {"device.threads": "2"}}, "config.device.threads ('1' in"),
    ({"provenance": {"onednn": "3.1"}}, "provenance.onednn ('2.6.3' in"),
    ({"provenance": {"git": "fedcba9"}}, "provenance.git ("),
    ({"network": {"image": "3x32x32"}}, "network.image ('1x28x28' in"),
    ({"layers": ("conv1", "other", "fc1")}, "layers ('conv1 conv2 fc1' in"),
    ({"level": "iteration"}, "level ('layer' in"),
])
def test_runs_that_differ_in_more_than_the_scale_are_refused(tmp_path, given, words):
    paths = [weak(tmp_path, 1), weak(tmp_path, 2, **given)]
    with pytest.raises(AnalysisError) as error:
        study_of(paths)
    said = str(error.value).replace(str(tmp_path) + "/", "*")
    assert said.startswith("the runs differ in more than the scale: ") and words in said
    assert "weak-2.h5" in said and "--allow" in said
    keys = said.split("--allow ")[1].rstrip(")").split()
    study = study_of(paths, allowed=keys)
    assert any("allowed to differ" in note for note in study.notes)


def test_what_may_differ(tmp_path):
    own = {"experiment.name": "other", "output.file": "b.h5", "train.iterations": "99",
           "train.learning_rate": "0.2", "experiment.seed": "9", "profile.warmup": "3"}
    study_of([weak(tmp_path, 1, network={"collective": "none"}),
              weak(tmp_path, 2, config=own, title="b",
                   provenance={"user": "b", "environment": "SLURM_JOB_ID=2"})])


def test_neither_strong_nor_weak(tmp_path):
    paths = [weak(tmp_path, 1), weak(tmp_path, 2), weak(tmp_path, 4, per_rank_batch=16)]
    with pytest.raises(AnalysisError, match=r"neither strong nor weak.*16, 32 images.*32, 64"):
        study_of(paths)
    with pytest.raises(AnalysisError, match="at least two numbers of ranks"):
        study_of([weak(tmp_path, 2), weak(tmp_path, 2, "again")])


@pytest.mark.parametrize("level, missing", [("iteration", {"layer_efficiency"}),
                                            ("off", {"layer_efficiency", "waterfall"})])
def test_levels_below_layer_give_what_they_can(tmp_path, level, missing):
    paths = [weak(tmp_path, ranks, level=level) for ranks in (1, 2)]
    study = study_of(paths)
    assert study.efficiency(study.points[1]).estimate < 1
    assert any("nothing is known about layers" in note for note in study.notes)
    out = tmp_path / "out"
    assert main(["scaling", *map(str, paths), "-o", str(out)]) == 0
    stems = {path.stem for path in out.glob("*.svg")}
    assert stems == {"iteration_time", "speedup", "efficiency", "waterfall",
                     "layer_efficiency"} - missing


@pytest.mark.parametrize("make", [strong, weak])
def test_files_of_a_study(tmp_path, capsys, make):
    paths = [make(tmp_path, ranks, noise=0.02) for ranks in (1, 2, 4, 8)]
    out = tmp_path / "out"
    assert main(["scaling", *map(str, paths), "-o", str(out)]) == 0
    printed = capsys.readouterr()
    assert printed.err == "" and "efficiency %" in printed.out
    stems = ["iteration_time", "speedup", "efficiency", "waterfall", "layer_efficiency"]
    page = (out / "index.html").read_text()
    for stem in stems:
        assert (out / f"{stem}.png").read_bytes().startswith(b"\x89PNG")
        ElementTree.parse(out / f"{stem}.svg")
        assert not pd.read_csv(out / f"{stem}.csv").empty
        assert f'src="{stem}.svg"' in page
    table = pd.read_csv(out / "scaling.csv")
    assert list(table["ranks"]) == [1, 2, 4, 8]
    parts = table[[c for c in table if c in (
        "compute_us", "input_us", "copies_us", "exposed_transfer_us", "wait_us", "idle_us",
        "measurement_us", "unaccounted_us", "spread_us")]]
    np.testing.assert_allclose(parts.sum(axis=1), table["iteration_us"], rtol=1e-9)
    fall = pd.read_csv(out / "waterfall.csv")
    for ranks in (2, 4, 8):
        of_point = fall[fall["ranks"] == ranks].set_index("part")["us"]
        assert of_point.drop("measured").sum() == pytest.approx(of_point["measured"])


def test_runs_that_are_not_complete_are_left_out_and_named(tmp_path, capsys):
    paths = [str(weak(tmp_path, ranks)) for ranks in (1, 2, 4)]
    failed = str(weak(tmp_path, 8, status="failed"))
    cut_off = str(weak(tmp_path, 4, "cut-off", status="running"))
    out = str(tmp_path / "out")
    with pytest.warns(RunFileWarning):
        assert [p.ranks for p in study_of([*paths, failed], allowed=["status"]).points] == [1, 2, 4, 8]
    assert main(["scaling", *paths, failed, cut_off, "-o", out]) == 66
    printed = capsys.readouterr().out
    assert f"note: {failed} is left out: its status is failed" in printed
    assert f"note: {cut_off} is left out: its status is running" in printed
    assert list(pd.read_csv(tmp_path / "out" / "scaling.csv")["ranks"]) == [1, 2, 4]
    assert main(["scaling", *paths, failed, "-o", out, "--allow", "status"]) == 0
    assert f"note: {failed}: its status is failed" in capsys.readouterr().out
    assert main(["scaling", paths[0], failed, "-o", out]) == 65
    assert f"{failed} is failed: --allow status" in capsys.readouterr().err
    assert main(["scaling", failed, "-o", out]) == 65
    assert "there are none" in capsys.readouterr().err


def test_bad_input_is_one_line(tmp_path, capsys):
    paths = [str(weak(tmp_path, 1)), str(weak(tmp_path, 2))]
    blocked = tmp_path / "file"
    blocked.write_text("")
    assert main(["scaling", *paths, "-o", str(blocked)]) == 73
    assert main(["scaling", paths[0], "none.h5", "-o", str(tmp_path / "out")]) == 66
    assert main(["scaling", paths[0], "-o", str(tmp_path / "out")]) == 65
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 3 and "none.h5: there is no such file" in said[1]
    assert not (tmp_path / "out").exists()
