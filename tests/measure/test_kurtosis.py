"""The kurtosis column: known distributions, and what it says about the variance."""

import math

import numpy as np
import pytest

from bench.measure.gradient.moments import kurtosis, statistics
from tests.support.moments import means_of, sums

DRAWN = {  # name -> draws [R, P] and their kurtosis
    "uniform": (lambda noise, r: noise.uniform(size=(r, 1)), 1.8),
    "Gaussian": (lambda noise, r: noise.normal(size=(r, 1)), 3.0),
    "Laplace": (lambda noise, r: noise.laplace(size=(r, 1)), 6.0),
    "five Gaussians": (lambda noise, r: noise.normal(size=(r, 5)), 1 + 2 / 5),
    "one large, one small": (lambda noise, r: noise.normal(size=(r, 2)) * [3, 1], 1 + 2 * 82 / 100),
}


@pytest.mark.parametrize("name", DRAWN)
def test_known_distributions(name):
    draw, truth = DRAWN[name]
    noise = np.random.default_rng(7)
    found = [kurtosis([sums(1.7 + draw(noise, 2048)) for _ in range(4)]) for _ in range(40)]
    assert np.mean(found) == pytest.approx(truth, rel=0.05)
    single = [kurtosis([sums(1.7 + draw(noise, 2048))]) for _ in range(40)]
    assert np.mean(single) == pytest.approx(truth, rel=0.08)


def test_of_single_draws_it_is_that_of_their_distances_from_the_mean():
    g = np.random.default_rng(0).normal(size=(20, 3))
    squares = np.square(g - g.mean(0)).sum(1)
    assert kurtosis([sums(g)]) == pytest.approx(1 + squares.var(ddof=1) / squares.mean() ** 2)
    assert kurtosis([sums(g), sums(10 * g)]) == pytest.approx(kurtosis([sums(g)]))  # of one scale each


@pytest.mark.parametrize("name", DRAWN)
def test_it_predicts_the_error_of_the_variance(name):
    noise = np.random.default_rng(8)
    draws = [[DRAWN[name][0](noise, 256) for _ in range(2)] for _ in range(600)]
    found = [statistics([sums(one) for one in g], means_of(g)) for g in draws]
    variance = np.array([f["variance_noise"] for f in found])
    predicted = math.sqrt(np.mean([f["kurtosis"] - 1 for f in found]) / (2 * 256))
    assert variance.std() / variance.mean() == pytest.approx(predicted, rel=0.1)


def test_one_draw_that_outweighs_all_others_leaves_one_draw_to_rest_on():
    g = np.random.default_rng(9).normal(size=(256, 3))
    g[100] = 1e4
    assert 256 / kurtosis([sums(g)]) == pytest.approx(1, rel=0.02)


def test_without_noise_there_is_none():
    assert math.isnan(kurtosis([sums(np.ones((1, 3)))]))
    assert math.isnan(kurtosis([sums(np.ones((40, 3)))]))
