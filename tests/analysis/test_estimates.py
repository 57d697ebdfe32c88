"""Intervals of scaling: whether they hold the truth as often as they say."""

import math

import numpy as np
import pytest

from layerledger.estimates import EXACT, Estimate, of_one_run, of_repetitions, ratio, student

BETWEEN = 0.03
"""How much runs differ from each other, as a share."""
WITHIN = 0.01
"""The same of the medians' own errors."""


# From the tables of any textbook.
@pytest.mark.parametrize(("freedom", "t"), [(1, 12.706), (2, 4.303), (3, 3.182), (4, 2.776),
                                            (10, 2.228), (30, 2.042), (120, 1.980),
                                            (math.inf, 1.960)])
def test_student(freedom, t):
    assert student(freedom) == pytest.approx(t, abs=6e-4)


def drawn(random, truth, runs):
    """Medians of repetitions: runs differ, and each median is known so well only."""
    return truth * np.exp(BETWEEN * random.standard_normal(runs)
                          + WITHIN * random.standard_normal(runs))


@pytest.mark.parametrize("runs", [2, 3, 5])
def test_95_percent_of_the_intervals_of_repetitions_hold_the_truth(runs):
    random = np.random.default_rng(11 + runs)
    held = [interval.low <= 1000 <= interval.high
            for interval in (of_repetitions(drawn(random, 1000, runs)).interval
                             for _ in range(4000))]
    assert np.mean(held) == pytest.approx(0.95, abs=0.011)  # 3 standard errors of 4000 draws


@pytest.mark.parametrize(("base", "point", "least", "most"), [
    (2, 2, 0.94, 0.99),  # Welch's degrees of freedom are cautious where there are few runs
    (3, 3, 0.94, 0.98),
    (5, 5, 0.94, 0.97),
    (3, 5, 0.94, 0.98),
])
def test_efficiency_of_repetitions_holds_the_truth(base, point, least, most):
    random = np.random.default_rng(10 * base + point)
    held = [interval.low <= 0.8 <= interval.high
            for interval in (ratio(of_repetitions(drawn(random, 800, base)),
                                   of_repetitions(drawn(random, 1000, point)))
                             for _ in range(4000))]
    assert least <= np.mean(held) <= most


def test_resampling_two_runs_would_not_hold_it():
    """What is not done: percentiles of means of runs drawn again are far too narrow."""
    random = np.random.default_rng(5)
    held = 0
    for _ in range(1000):
        of_runs = drawn(random, 1000, 2)
        means = of_runs[random.integers(0, 2, (400, 2))].mean(axis=1)
        low, high = np.quantile(means, [0.025, 0.975])
        held += low <= 1000 <= high
    assert held < 700


@pytest.mark.parametrize("phi", [0.0, 0.8])
def test_one_run_holds_what_varies_within_it(phi):
    """Iterations that depend on their neighbours too."""
    random = np.random.default_rng(3)
    noise = random.standard_normal((300, 400))
    series = np.empty_like(noise)
    series[:, 0] = noise[:, 0] / np.sqrt(1 - phi**2)
    for i in range(1, 400):
        series[:, i] = phi * series[:, i - 1] + noise[:, i]
    intervals = [of_one_run(1000 + 10 * each, 1).interval for each in series]
    held = np.mean([low <= 1000 <= high for _, low, high in intervals])
    assert 0.90 <= held <= 0.99


def test_what_is_not_known_has_no_interval():
    assert np.isnan(of_one_run(np.arange(1.0, 6), 1).interval).tolist() == [False, True, True]
    assert np.isnan(of_repetitions([math.nan, 1.0]).interval).all()
    assert ratio(EXACT, Estimate(2.0, 0.0, 1.0)) == (0.5, 0.5, 0.5)
    assert np.isnan(ratio(Estimate(1.0, math.nan, math.nan), EXACT)).tolist() == [False, True, True]
