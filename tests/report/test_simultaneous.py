"""Comparisons of many estimators at once: the statistic is Tukey's, and equal estimators are seldom said to differ."""

import csv

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from bench.report.collection.simultaneous import by_draws, by_seeds, not_negative
from bench.report.collection.studentised import beyond, quantile
from bench.report.page.answer import rank
from bench.report.page.criteria import CRITERIA
from tests.support.false_statements import CASES, over_draws, over_seeds
from tests.support.packages import ROOT

[NOISE] = [c for c in CRITERIA if c.name == "variance_x_evaluations"]

TABLE = {(3, 4): 5.040, (2, 10): 3.151, (10, 20): 5.008, (3, np.inf): 3.314, (20, 60): 5.241}  # upper 5 % points


@pytest.mark.parametrize(("m", "freedom"), TABLE)
def test_the_studentised_range_is_that_of_the_printed_tables(m, freedom):
    assert quantile(0.95, m, freedom) == pytest.approx(TABLE[m, freedom], abs=6e-4)
    assert beyond(TABLE[m, freedom], m, freedom) == pytest.approx(0.05, abs=1e-4)


@pytest.mark.parametrize(("q", "m", "freedom"), [(3.2, 12, 22), (9.0, 30, 2), (2.0, 2, 5), (30.0, 12, 1)])
def test_the_studentised_range_is_scipys(q, m, freedom):
    assert beyond(q, m, freedom) == pytest.approx(stats.studentized_range.sf(q, m, freedom), abs=2e-5)


def test_two_estimators_are_compared_by_the_paired_t_test():
    values = np.random.default_rng(0).normal(size=(2, 6))
    found = by_seeds(values)
    test = stats.ttest_rel(*values)
    low, high = test.confidence_interval(0.95)
    first, second = found.order()
    assert found.half_difference[0, 1] == pytest.approx((high - low) / 2, rel=1e-5)
    assert found.probability(first, second) == pytest.approx(1 - test.pvalue / 2, rel=1e-4)


def test_estimators_of_equal_spread_are_compared_by_the_studentised_range_of_a_two_way_layout():
    """Rows whose residuals are a permutation of each other have equal spreads: nothing is taken away."""
    seeds = np.array([0.3, -0.1, 0.7])
    values = np.array([[0.0, 1, -1], [1, -1, 0], [-1, 0, 1]]) + np.array([0.0, 4, 9])[:, None] + seeds
    found = by_seeds(values)
    square = 6 / 4  # residual sum of squares over (m - 1)(n - 1)
    assert found.freedom == 4
    reach = TABLE[3, 4] * np.sqrt(square / 3)
    own = found.error[0, 1] ** 2 * 3  # the pair's own, where it is larger than the pooled one
    assert own == pytest.approx(max(2 * square, np.var([-1, 2, -1], ddof=1)))
    assert found.half_difference.max() >= reach * (1 - 1e-3)
    np.testing.assert_allclose(found.difference[:, 0], [0, 4, 9])


def test_draws_with_known_errors_are_compared_by_tukey_and_kramer():
    values, errors = np.array([[0.0], [1.0], [5.0]]), np.array([[0.1], [0.2], [0.4]])
    found = by_draws(values, errors)
    reach = quantile(0.95, 3, 31) / np.sqrt(2)
    assert found.half_difference[0, 2] == pytest.approx(reach * np.hypot(0.1, 0.4))
    assert found.half[1] == pytest.approx(0.2 * stats.t.ppf(1 - 0.025 / 3, 31))
    floored = by_draws(values, 0 * errors, floor=0.3)
    assert floored.half_difference[0, 1] == pytest.approx(TABLE[3, np.inf] * 0.3, rel=1e-3)


def test_the_first_is_never_less_probable_than_the_second():
    random = np.random.default_rng(1)
    for _ in range(50):
        m, n = random.integers(2, 8), random.integers(3, 6)
        values = random.normal(size=(m, n)) * random.uniform(0.1, 3, (m, 1))
        found = by_seeds(values)
        first, second, *_ = found.order()
        probability = found.probability(first, second)
        assert probability >= 0.5
        assert found.separated[first, second] == (probability > 0.975)


def test_an_estimate_of_a_square_is_cut_off_at_zero():
    mean, error = np.array([5.0, 0.0, -2.0, -60.0, 3.0, 1.0]), np.array([0.1, 1.0, 1.5, 1.0, 0.0, np.nan])
    found, deviation = not_negative(mean, error)
    for i in range(3):
        exact = stats.truncnorm(-mean[i] / error[i], np.inf, mean[i], error[i])
        assert (found[i], deviation[i]) == pytest.approx((exact.mean(), exact.std()), rel=1e-6)
    assert 0 < found[3] < 0.02
    assert 0 < deviation[3] < 0.02
    assert (found[4], deviation[4], found[5]) == (3.0, 0.0, 1.0)


@pytest.mark.parametrize("case", [name for name in CASES if name != "unequal spread"])
@pytest.mark.parametrize(("estimators", "seeds"), [(2, 3), (12, 3), (30, 5)])
def test_equal_estimators_are_said_to_differ_in_at_most_one_case_of_twenty(case, estimators, seeds):
    repetitions = 200
    found = over_seeds(CASES[case], estimators, seeds, repetitions, np.random.default_rng(0))
    chance = 3 * np.sqrt(0.05 * 0.95 / repetitions)
    assert found["false"] <= 0.05 + chance
    assert found["covered"] >= 0.95 - chance
    assert estimators == 2 or found["false_single"] > 0.3  # the control: without the correction


@pytest.mark.parametrize("truth", [0.0, 5.0])
def test_equal_biases_are_said_to_differ_in_at_most_one_case_of_twenty(truth):
    found = over_draws(truth, 12, 300, np.random.default_rng(0))
    assert found["false"] <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 300)
    assert found["false_single"] > 0.3


def test_the_page_says_of_equals_that_they_tie():
    """Twelve equal estimators, three seeds, through the ranking of the page."""
    random, said = np.random.default_rng(0), 0
    for _ in range(60):
        values = np.exp(random.normal(size=(12, 3)) + random.normal(size=3))
        rows = [(f"e{i}", s, values[i, s]) for i in range(12) for s in range(3)]
        frame = pd.DataFrame(rows, columns=["label", "seed", "value"]).assign(error=np.nan, broken=False)
        ranking = rank((), NOISE, frame, False, {})
        said += len(ranking.ties) < 11
        assert ranking.contenders[1].probability >= 0.5
    assert said <= 60 * 0.05 + 3 * np.sqrt(60 * 0.05 * 0.95)


def test_the_published_simulation_says_so_too():
    with (ROOT / "results" / "reliability" / "false_statements.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {row["case"] for row in rows} >= set(CASES)
    for row in rows:
        chance = 3 * np.sqrt(0.05 * 0.95 / int(row["repetitions"]))
        if row["case"] != "unequal spread":
            assert float(row["false"]) <= 0.05 + chance, row
        assert float(row["covered"]) >= 0.95 - chance, row
