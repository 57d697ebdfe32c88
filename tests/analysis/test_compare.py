"""The command `compare`: words, intervals, its exit code, and what it refuses."""

import numpy as np
import pandas as pd
import pytest

from layerledger import RunFile, bootstrap
from layerledger.cli import main
from layerledger.comparison import SAME_RECORDING, compare, word
from synthetic import Synthetic


def pair(tmp_path, a, b):
    return a.write(tmp_path / "a.h5"), b.write(tmp_path / "b.h5")


def compared(tmp_path, a, b, **options):
    paths = pair(tmp_path, a, b)
    with RunFile(paths[0]) as run_a, RunFile(paths[1]) as run_b:
        result = compare(run_a, run_b, **options)
    return result.table.set_index("name"), result.notes


def test_words_follow_the_rule():
    assert word(-0.9, 0.9, 1) == "same"
    assert word(0.2, 0.9, 1) == "same"  # there is a difference, and it does not matter
    assert word(0.2, 3, 1) == "slower"
    assert word(-3, -0.2, 1) == "faster"
    assert word(-0.1, 3, 1) == "unclear"
    assert word(np.nan, np.nan, 1) == "unclear"


def test_identical_runs_are_the_same(tmp_path):
    made = Synthetic(iterations=100, noise=0.01)
    table, _ = compared(tmp_path, made, made)
    assert set(table["word"]) == {"same"}
    assert (table["difference_us"] == 0).all()


@pytest.mark.parametrize("iterations", [8, 100])
def test_a_file_against_itself_is_the_same_however_noisy(tmp_path, iterations):
    def spread(arrays):  # an activity that now and then takes time
        arrays["activity_time"][::3, :, 5] += 900

    path = Synthetic(iterations=iterations, noise=0.5).write(tmp_path / "a.h5", change=spread)
    with RunFile(path) as a, RunFile(path) as b:
        result = compare(a, b)
    assert set(result.table["word"]) == {"same"}
    assert not result.table.isna().any(axis=None)
    assert result.notes == [SAME_RECORDING]


def test_an_activity_that_takes_no_time_in_one_run(tmp_path, capsys):
    a = Synthetic(iterations=60, noise=0.01, input_us=0, seed=1)
    b = Synthetic(iterations=60, noise=0.01, input_us=80, seed=2)
    paths = [a.write(tmp_path / "a.h5"), b.write(tmp_path / "b.h5")]
    with RunFile(paths[0]) as run_a, RunFile(paths[1]) as run_b:
        table = compare(run_a, run_b).table.set_index("name")
    whole = table["a_us"]["iteration"]
    row = table.loc["input_wait"]
    assert row["word"] == "slower"
    assert row["difference_percent"] == pytest.approx(100 * 80 / whole, rel=1e-3)
    assert row["low_percent"] <= row["difference_percent"] <= row["high_percent"]
    numbers = table.filter(like="_percent").to_numpy(float)
    assert np.isfinite(numbers).all()
    assert main(["compare", *map(str, paths)]) == 0
    printed = capsys.readouterr().out
    assert "inf" not in printed and "nan" not in printed and "in % of A's iteration:" in printed


def test_a_layer_ten_percent_slower_is_found_and_no_other(tmp_path):
    a = Synthetic(iterations=200, noise=0.02, seed=1)
    b = Synthetic(iterations=200, noise=0.02, seed=2,
                  slow={(0, "conv2"): 1.1, (1, "conv2"): 1.1})
    table, _ = compared(tmp_path, a, b)
    assert table["word"][["conv1", "conv2", "fc1"]].tolist() == ["same", "slower", "same"]
    row = table.loc["conv2"]
    assert row["low_percent"] < 10 < row["high_percent"]
    assert row["high_percent"] - row["low_percent"] < 2
    assert row["a_us"] == pytest.approx(620, rel=0.01)
    assert row["difference_us"] == pytest.approx(62, rel=0.1)
    assert table["word"]["conv2 forward"] == table["word"]["conv2 backward"] == "slower"
    # Of an iteration of 1,926 us, without noise's wait: 62 us.
    assert table["word"]["iteration"] == table["word"]["all layers"] == "slower"
    assert table["difference_us"]["iteration"] == pytest.approx(62, rel=0.2)
    back, _ = compared(tmp_path, b, a)
    assert back["word"]["conv2"] == "faster"


def test_among_many_layers_none_differs_by_chance(tmp_path):
    layers = [f"conv{i}" for i in range(60)]
    a = Synthetic(iterations=60, noise=0.05, layers=layers, seed=1)
    b = Synthetic(iterations=60, noise=0.05, layers=layers, seed=2,
                  slow={(rank, "conv7"): 1.1 for rank in (0, 1)})
    table, _ = compared(tmp_path, a, b)
    words = table["word"][layers]
    assert words[words.isin(["slower", "faster"])].to_dict() == {"conv7": "slower"}


def test_joint_intervals_are_wider():
    one = bootstrap.Interval(1.0, 0.0, 3.0)
    assert bootstrap.jointly(one, 1) == one
    wider = bootstrap.jointly(one, 100)  # quantiles 1.960 and 3.481
    assert wider == pytest.approx((1.0, 1 - 1.776, 1 + 2 * 1.776), abs=1e-3)


def test_noise_leaves_it_unclear(tmp_path):
    a, b = (Synthetic(iterations=30, noise=0.5, seed=seed) for seed in (1, 2))
    table, _ = compared(tmp_path, a, b)
    assert set(table["word"][["conv1", "conv2", "fc1"]]) == {"unclear"}


def test_the_iteration_is_the_slowest_ranks(tmp_path):
    a = Synthetic(iterations=20)
    b = Synthetic(iterations=20, gaps={(i, 1): 100 for i in range(20)})
    table, _ = compared(tmp_path, a, b)
    arrays = a.arrays()
    assert table["a_us"]["iteration"] == pytest.approx(arrays["iteration_time"].max(axis=1)[5])
    assert table["difference_us"]["iteration"] == pytest.approx(100)
    assert table["difference_us"]["unaccounted"] == pytest.approx(50)  # a mean over two ranks
    assert table["word"]["unaccounted"] == "slower"


def test_the_same_files_give_the_same_numbers(tmp_path):
    a, b = (Synthetic(iterations=60, noise=0.1, seed=seed) for seed in (1, 2))
    first, _ = compared(tmp_path, a, b)
    second, _ = compared(tmp_path, a, b)
    pd.testing.assert_frame_equal(first, second)


def autocorrelated(random, count, rows, phi):
    """[series, iteration]: 100 plus an AR(1) process, whose median is 100."""
    noise = random.standard_normal((count, rows))
    series = np.empty_like(noise)
    series[:, 0] = noise[:, 0] / np.sqrt(1 - phi**2)
    for i in range(1, rows):
        series[:, i] = phi * series[:, i - 1] + noise[:, i]
    return 100 + series


def coverage(series, length=None):
    """How many of the intervals of a median hold 100."""
    held = 0
    for values in series:
        draws = bootstrap.Resampler(values if length is None else np.zeros(values.size), 1)
        assert length is None or draws.length == length
        low, high = np.quantile(draws.medians(values), [0.025, 0.975])
        held += low <= 100 <= high
    return held / len(series)


@pytest.mark.parametrize("phi", [0.0, 0.6, 0.8])
def test_intervals_of_95_percent_hold_the_truth(phi):
    series = autocorrelated(np.random.default_rng(7), 200, 500, phi)
    assert 0.89 <= coverage(series) <= 0.99


def test_without_blocks_intervals_would_be_too_narrow():
    series = autocorrelated(np.random.default_rng(7), 200, 500, 0.8)
    assert coverage(series, length=1) < 0.75


def test_blocks_grow_with_autocorrelation():
    random = np.random.default_rng(3)
    lengths = [np.mean([bootstrap.block_length(values) for values in
                        autocorrelated(random, 20, 500, phi)]) for phi in (0, 0.5, 0.9)]
    assert lengths[0] < 5 < lengths[1] < lengths[2]


def test_many_iterations_are_resampled_in_pieces(monkeypatch):
    values = np.random.default_rng(1).normal(size=500)
    whole = bootstrap.Resampler(values, 1).medians(values)
    draws = bootstrap.Resampler(values, 1)
    monkeypatch.setattr(bootstrap, "_NUMBERS_AT_ONCE", 1700)
    np.testing.assert_array_equal(draws.medians(values), whole)


def command(tmp_path, a, b, *words):
    return main(["compare", *map(str, pair(tmp_path, a, b)), *words])


SLOW = {(rank, layer): 1.1 for rank in (0, 1) for layer in ("conv1", "conv2", "fc1")}


def test_exit_codes_for_use_in_ci(tmp_path, capsys):
    fast, slow = Synthetic(iterations=60), Synthetic(iterations=60, slow=SLOW)
    assert command(tmp_path, fast, slow) == 0  # without a limit there is no verdict
    assert command(tmp_path, fast, slow, "--fail-above", "5%") == 1
    assert "FAILED: the iteration is 9.7 % slower, more than 5 %" in capsys.readouterr().out
    assert command(tmp_path, fast, slow, "--fail-above", "11") == 0
    assert command(tmp_path, slow, fast, "--fail-above", "5%") == 0
    assert "passed: the iteration is at most 5 % slower" in capsys.readouterr().out


def test_noise_does_not_fail_a_build(tmp_path, capsys):
    """B is 6 % slower in what was measured, and might as well be faster."""
    drift = 1 + 0.4 * np.random.default_rng(2).standard_normal(40)
    a = Synthetic(iterations=40, drift=lambda i: drift[i])
    b = Synthetic(iterations=40, drift=lambda i: 1.06 * drift[i])
    assert command(tmp_path, a, b, "--fail-above", "5%") == 0
    assert "is not excluded" in capsys.readouterr().out


def test_too_few_iterations_give_no_verdict(tmp_path, capsys):
    a, b = (Synthetic(iterations=8, noise=0.1, seed=seed) for seed in (1, 2))
    assert command(tmp_path, a, b, "--fail-above", "5%") == 65
    captured = capsys.readouterr()
    assert "no verdict" in captured.err
    assert "A has 6 iterations after warm-up: too few to tell" in captured.out


def test_figure_and_table_are_written(tmp_path, capsys):
    a, b = Synthetic(iterations=60), Synthetic(iterations=60, slow=SLOW)
    assert command(tmp_path, a, b, "-o", str(tmp_path / "out")) == 0
    table = pd.read_csv(tmp_path / "out" / "compare.csv", index_col="name")
    assert table["difference_percent"]["conv2"] == pytest.approx(10)
    assert table["word"]["conv2 backward"] == "slower"
    assert (tmp_path / "out" / "compare.png").read_bytes()[:4] == b"\x89PNG"
    assert ">conv2<" in (tmp_path / "out" / "compare.svg").read_text()
    printed = capsys.readouterr().out
    assert "conv2" in printed and "conv2 backward" not in printed


REFUSED = {
    "network.name ('lenet5' and 'alexnet')": {"network": {"name": "alexnet"}},
    "layers (conv2, fc1 only in A; fc2 only in B)": {"layers": ("conv1", "fc2")},
    "ranks (2 and 3)": {"ranks": 3},
    "batch size per rank (8 and 16)": {"per_rank_batch": 16},
}


@pytest.mark.parametrize("named", REFUSED)
def test_runs_that_do_not_compare_are_refused_by_name(tmp_path, capsys, named):
    a, b = Synthetic(iterations=30), Synthetic(iterations=30, **REFUSED[named])
    assert command(tmp_path, a, b) == 65
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and named in error
    assert command(tmp_path, a, b, "--anyway") == 0
    assert named in capsys.readouterr().out


def test_levels_and_settings_that_differ_are_named(tmp_path):
    a = Synthetic(iterations=30, config={"sync.bucket_mb": "1"})
    table, notes = compared(tmp_path, a, Synthetic(iterations=30, level="iteration"))
    assert "conv1" not in table.index and "allreduce_wait" in table.index
    assert any("(A 'layer', B 'iteration')" in note for note in notes)
    assert any("config.sync.bucket_mb ('1' or '25')" in note for note in notes)
    off = Synthetic(iterations=30, level="off")
    table, notes = compared(tmp_path, off, off)
    assert table.index.tolist() == ["iteration"]
    assert any("no layers to compare" in note for note in notes)


@pytest.mark.parametrize("words, code, said", [
    (["--fail-above", "many"], 64, "'many' is no percentage"),
    (["--margin", "-1"], 64, "negative"),
    (["-o", "/proc/nowhere"], 73, "cannot make this folder"),
])
def test_wrong_words(tmp_path, capsys, words, code, said):
    made = Synthetic(iterations=30)
    try:
        got = command(tmp_path, made, made, *words)
    except SystemExit as end:
        got = end.code
    assert got == code
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and said in error


def test_files_that_cannot_be_used(tmp_path, capsys):
    good = Synthetic(iterations=30).write(tmp_path / "good.h5")
    (tmp_path / "text.h5").write_text("no HDF5")
    warm = Synthetic(iterations=3, warmup=3).write(tmp_path / "warm.h5")
    for path, code, said in ((tmp_path / "none.h5", 66, "no such file"),
                             (tmp_path / "text.h5", 65, "not HDF5"),
                             (warm, 65, "no iterations after warm-up")):
        assert main(["compare", str(good), str(path)]) == code
        error = capsys.readouterr().err
        assert error.count("\n") == 1 and said in error and str(path) in error
