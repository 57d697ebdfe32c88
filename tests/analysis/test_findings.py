"""A mistake that is planted is found, by name; a sound run is not blamed."""

from types import SimpleNamespace

import h5py
import numpy as np
import pandas as pd
import pytest

from layerledger import RunFile, RunFileWarning
from layerledger.dependence import dependence
from layerledger.findings import excess_over_others, find, time_text
from layerledger.findings.stragglers import recorded_stragglers
from layerledger.reductions import reduce_run
from synthetic import Synthetic

CHEAP = {"percent": 0.1, "low": -0.1, "high": 0.3, "pairs": 40}


def findings(tmp_path, change=None, **given):
    given = {"overhead": CHEAP, "iterations": 40, "noise": 0.01, **given}
    with RunFile(Synthetic(**given).write(tmp_path / "run.h5", change=change)) as run:
        return find(run, reduce_run(run))


def problems(tmp_path, **given):
    return {f.title: f.text for f in findings(tmp_path, **given) if f.severity == "problem"}


def test_a_sound_run_is_praised_and_nothing_else(tmp_path):
    found = findings(tmp_path)
    assert [f.severity for f in found] == ["good", "good"]
    assert "0.05" in found[0].text  # 1 us of about 1.95 ms


@pytest.mark.parametrize("seed", range(5))
def test_noise_is_no_fault(tmp_path, seed):
    assert not problems(tmp_path, ranks=64, noise=0.1, iterations=30, seed=seed, transfer_us=5,
                        layer_us=[(1e4, 2e4, 100)] * 3, unaccounted_us=2, change=wait_free)


def wait_free(arrays):
    """Noise makes ranks wait for each other, rightly said elsewhere."""
    arrays["activity_time"][:, :, 2] = 0


def fluctuating(arrays):
    """Each rank's layers take up to 20 % more or less for long parts of the run."""
    rows, ranks = arrays["layer_time"].shape[:2]
    random = np.random.default_rng(rows)
    slow = np.zeros((rows, ranks))
    slow[0] = random.standard_normal(ranks)
    for row in range(1, rows):
        slow[row] = 0.9 * slow[row - 1] + np.sqrt(1 - 0.9**2) * random.standard_normal(ranks)
    more = (0.08 * slow)[:, :, None, None] * arrays["layer_time"]
    arrays["layer_time"] += more
    arrays["iteration_time"] += more.sum(axis=(2, 3))


def test_slow_fluctuations_are_no_fault_of_a_rank(tmp_path, monkeypatch):
    """Iterations that depend on each other tell less than as many that do not."""
    def blamed():
        return sum(any("is slow" in f.title for f in findings(
            tmp_path, ranks=16, iterations=rows, noise=0.01, change=fluctuating))
            for rows in range(200, 230))

    assert blamed() <= 2  # of 30 runs
    planted = {(3, layer): 1.4 for layer in ("conv1", "conv2", "fc1")}
    found = findings(tmp_path, ranks=16, iterations=200, slow=planted, change=fluctuating)
    assert "Rank 3 is slow" in [f.title for f in found]  # what is not chance is seen
    monkeypatch.setattr("layerledger.dependence.dependence",
                        lambda series: np.ones(series.shape[1:]))
    assert blamed() >= 8  # as if they were independent


@pytest.mark.parametrize(("violations", "title", "says"), [
    (0, "Clocks agree with cause and effect", "In none of 40 all-reduces"),
    (3, "Clocks contradict cause and effect", "In 3 of 40 all-reduces a rank leaves before"),
])
def test_clocks_are_held_against_cause_and_effect(tmp_path, violations, title, says):
    path = Synthetic(iterations=20).write(tmp_path / "run.h5")
    facts = {"checked": 40, "within_bounds": 2, "violations": violations, "worst": 12.5,
             "worst_iteration": 7, "worst_bucket": 1, "worst_rank": 0, "widest_bound": 4.5}
    with h5py.File(path, "r+") as file:
        for name, value in facts.items():
            file[f"causality/{name}"] = value
    with RunFile(path) as run:
        found = {f.title: f for f in find(run, reduce_run(run))}
    assert found[title].severity == ("problem" if violations else "good")
    assert says in found[title].text and "4.50" in found[title].text


def test_dependence():
    random = np.random.default_rng(1)
    noise = random.standard_normal((400, 50))
    assert np.median(dependence(noise)) < 1.5
    slow = np.repeat(random.standard_normal((20, 50)), 20, axis=0)  # 20 rows are one
    np.testing.assert_allclose(np.median(dependence(slow)), np.sqrt(20), rtol=0.25)
    noise[7] *= 1000  # an outlier is none
    assert np.median(dependence(noise)) < 1.5
    assert (dependence(np.ones((400, 3))) == 1).all() and (dependence(np.ones((3, 3))) == 1).all()


@pytest.mark.parametrize("ranks", [2, 3, 40])
def test_what_all_ranks_have_in_common_hides_no_slow_layer(tmp_path, ranks):
    """As the load of a shared machine, which comes and goes for all of them."""
    def load(arrays):
        more = arrays["layer_time"] * np.repeat([0, 1, 0, 0.6], 10)[:, None, None, None]
        arrays["layer_time"] += more
        arrays["iteration_time"] += more.sum(axis=(2, 3))

    found = findings(tmp_path, ranks=ranks, slow={(1, "conv2"): 1.1}, change=load)
    assert "conv2 is slow on rank 1" in [f.title for f in found]
    found = findings(tmp_path, ranks=ranks, change=load)
    assert not [f.title for f in found if "slow on" in f.title or f.title.startswith("Rank")]


@pytest.mark.parametrize("ranks", [2, 3, 40])
def test_a_layer_ten_percent_slower_on_one_rank(tmp_path, ranks):
    found = problems(tmp_path, ranks=ranks, slow={(1, "conv2"): 1.1})
    assert list(found) == ["conv2 is slow on rank 1"]
    assert "more than the median of the other ranks" in found["conv2 is slow on rank 1"]
    percent = float(found["conv2 is slow on rank 1"].split(" % more")[0].split()[-1])
    assert percent == pytest.approx(10, abs=1)


def test_a_slow_rank_is_named_with_its_host(tmp_path):
    slow = {(5, layer): 1.3 for layer in ("conv1", "conv2", "fc1")}
    found = problems(tmp_path, ranks=8, slow=slow)
    assert "host node1" in found["Rank 5 is slow"]
    assert "slowest in 100 % of the iterations" in found["Rank 5 is slow"]
    text = found["Ranks wait for the slowest one"]
    assert "mostly for rank 5, the slowest in 100 % of the iterations" in text


def test_ranks_that_are_late_by_turns(tmp_path):
    given = {"ranks": 4, "noise": 0.2, "iterations": 100}
    both = problems(tmp_path, **given) | notices(tmp_path, **given)
    assert "No rank is always the slowest" in both["Ranks wait for the slowest one"]


def test_a_slow_node_is_one_finding(tmp_path):
    slow = {(r, layer): 1.3 for r in range(8, 16) for layer in ("conv1", "conv2", "fc1")}
    found = problems(tmp_path, ranks=64, ranks_per_host=8, slow=slow)
    text = found["Host node1 is slow"]
    assert "All of its 8 ranks are (8, 9, 10, 11, 12, ...)" in text and "in 100 % of the" in text
    assert not [title for title in found if title.startswith("Rank 8")]
    found = problems(tmp_path, ranks=4, ranks_per_host=4, slow={(1, "conv2"): 1.6})
    assert "Rank 1 is slow" in found  # one host is no host among others


def test_microseconds_are_not_worth_a_remark(tmp_path):
    given = {"layer_us": [(20, 40, 1), (300, 600, 20), (300, 600, 20)], "ranks": 2, "noise": 0.001}
    assert "conv1 is slow on rank 1" not in notices(tmp_path, slow={(1, "conv1"): 1.1}, **given)
    assert "conv1 is slow on rank 1" in problems(tmp_path, slow={(1, "conv1"): 1.3}, **given)


def test_a_gap_of_a_millisecond(tmp_path):
    found = problems(tmp_path, gaps={(7, 1): 1000})
    assert found["Gap in iteration 7 on rank 1"].startswith("1.00\u00a0ms")
    assert "iteration 7 (bound 1.0 %)" in found["Unaccounted time above its bound"]


def test_a_gap_in_long_iterations_too(tmp_path):
    """Where a millisecond is within the bounds it is named all the same."""
    found = problems(tmp_path, gaps={(7, 1): 1000}, layer_us=[(5e4, 1e5, 1e3)] * 3, noise=0)
    assert list(found) == ["Gap in iteration 7 on rank 1"]


@pytest.mark.parametrize(("given", "title", "says"), [
    ({"input_us": 600}, "Training waits for input", "input_wait takes 23"),
    ({"idle_us": 300}, "The device waits for the host", "idle_launch takes 13"),
    ({"copy_us": 300}, "Copies to the device are exposed", "memcpy_h2d takes 13"),
    ({"transfer_us": 500}, "The all-reduce is exposed", "allreduce_transfer takes 20"),
    ({"measurement_us": 40}, "Measurement takes long", "measurement takes 2"),
    ({"unaccounted_us": 30}, "Unaccounted time above its bound", "1.5"),
    ({"overhead": {"percent": 1.5, "low": 1.1, "high": 1.9, "pairs": 40}},
     "Profiling costs more than its bound", "+1.10 to +1.90 %"),
])  # fmt: skip
def test_each_loss_of_time_is_named_with_its_number(tmp_path, given, title, says):
    found = problems(tmp_path, **given)
    assert list(found) == [title]
    assert says in found[title]


@pytest.mark.parametrize(("given", "title"), [
    ({"input_us": 150}, "Training waits for input"),
    ({"idle_us": 160}, "The device waits for the host"),
    ({"transfer_us": 160}, "The all-reduce is exposed"),
    ({"measurement_us": 14}, "Measurement takes long"),
    ({"slow": {(1, layer): 1.07 for layer in ("conv1", "conv2", "fc1")}, "ranks": 3},
     "Rank 1 is slow"),
    ({"gaps": {(7, 1): 100}}, "Gap in iteration 7 on rank 1"),
    ({"gaps": {(7, 1): 100}}, "Unaccounted time above its bound in an iteration"),
])  # fmt: skip
def test_what_costs_little_is_noticed_and_no_problem(tmp_path, given, title):
    found = {f.title: f.severity for f in findings(tmp_path, **given)}
    assert found[title] == "notice"


@pytest.mark.parametrize(("status", "says"), [("failed", "The run failed"),
                                              ("running", "has not ended, or was killed"),
                                              ("interrupted", "was interrupted")])
def test_a_run_that_did_not_end_well(tmp_path, status, says):
    with pytest.warns(RunFileWarning):
        found = problems(tmp_path, status=status)
    assert says in found["The run is not whole"]


def notices(tmp_path, **given):
    return {f.title: f.text for f in findings(tmp_path, **given) if f.severity == "notice"}


def test_drift_is_noticed_at_either_end(tmp_path):
    early = notices(tmp_path, drift=lambda i: np.where(i < 9, 1.3, 1.0))
    assert "profile.warmup" in early["The first fifth of the run is slower"]
    late = notices(tmp_path, drift=lambda i: np.where(i > 30, 1.3, 1.0))
    assert list(late) == ["The last fifth of the run is slower"]


def test_an_outlier_is_explained(tmp_path):
    def stall(arrays):
        arrays["activity_time"][20, :, 4] += 5000
        arrays["iteration_time"][20] += 5000

    found = notices(tmp_path, change=stall)
    text = found["1 of 38 iterations take more than 1.5 medians"]
    assert "iteration 20" in text and "input_wait took 5.00\u00a0ms more" in text


def test_an_outlier_is_the_doing_of_the_rank_that_the_others_wait_for(tmp_path):
    def stall(arrays):
        arrays["layer_time"][20, 2, 1, 0] += 5000
        arrays["activity_time"][20, [0, 1, 3], 2] += 5000
        arrays["iteration_time"][20] += 5000

    text = notices(tmp_path, change=stall, ranks=4)["1 of 38 iterations take more than 1.5 medians"]
    cause, took = text.split(": on ")[1].split(" took ")
    assert cause == "rank 2 the layers"
    assert float(took.split("\u00a0ms")[0]) == pytest.approx(5, abs=0.1)


def test_an_outlier_of_the_all_reduce(tmp_path):
    def stall(arrays):
        arrays["activity_time"][20, :, 3] += 5000
        arrays["iteration_time"][20] += 5000

    text = notices(tmp_path, change=stall)["1 of 38 iterations take more than 1.5 medians"]
    assert "allreduce_transfer took 5.00\u00a0ms more" in text


@pytest.mark.parametrize(("given", "advice"), [
    ({"config": {"sync.overlap": "false"}}, "sync.overlap = true"),
    ({"buckets": 1}, "smaller sync.bucket_mb"),
    ({}, "Larger batches"),
])
def test_an_exposed_all_reduce_comes_with_advice_that_fits(tmp_path, given, advice):
    assert advice in problems(tmp_path, transfer_us=500, **given)["The all-reduce is exposed"]


@pytest.mark.parametrize(("source", "advice"), [("folder", "More data.workers help where cores"),
                                                ("packed", "Storage that is nearer")])
def test_slow_input_comes_with_advice_that_fits(tmp_path, source, advice):
    found = problems(tmp_path, input_us=600, config={"data.source": source})
    assert advice in found["Training waits for input"]


def test_divergence_is_a_problem(tmp_path):
    def diverge(arrays):
        arrays["loss"][12:] = np.inf

    assert "From iteration 12" in problems(tmp_path, change=diverge)["Training diverged"]


def test_unmeasured_overhead_and_few_iterations_are_noticed(tmp_path):
    found = notices(tmp_path, overhead={}, iterations=8)
    assert set(found) == {"The cost of profiling was not measured", "Few iterations"}


def test_a_rank_is_compared_with_the_others_only():
    np.testing.assert_allclose(excess_over_others(np.array([1.0, 1.1]))[1], 0.1)
    np.testing.assert_allclose(excess_over_others(np.array([1.0] * 40 + [1.1]))[40], 0.1)
    np.testing.assert_array_equal(excess_over_others(np.ones((1, 3))), 0)


@pytest.mark.parametrize(("us", "text"), [(0.5, "0.50 us"), (999.9, "1.00 ms"), (1500, "1.50 ms"),
                                          (123456, "123 ms"), (2.5e6, "2.50 s")])
def test_durations_have_three_digits(us, text):
    assert time_text(us).replace("\u00a0", " ").replace("\u00b5", "u") == text


def test_how_often_a_straggler_comes_back_is_told_of_three_windows_or_more():
    row = {"iteration": 10, "rank": 1, "layer": 0, "phase": 1, "cause": 4, "percent": 12.5,
           "excess": 30.0, "windows": 2, "persistence": 0}
    texts = []
    for windows in (2, 3):
        run = SimpleNamespace(config={}, stragglers=pd.DataFrame([{**row, "all_windows": windows}]),
                              straggler_name=lambda *_: "conv1 backward")
        texts.append(next(recorded_stragglers(run, None)).text)
    assert "on the other ranks, in 2 of 2 windows" in texts[0]
    assert "on the other ranks, always: in 2 of 3 windows" in texts[1]
