"""Known means and variances of the score function and leave-one-out, and the errors that must be rejected."""

import math

import pytest
import torch

from estimators import Bernoulli, Gaussian
from estimators.reinforce import Reinforce
from estimators.rloo import RLOO
from tests.support import planted
from tests.support.costs import Nonlinear, Quadratic, small_latents, three_bits
from tests.support.enumerate import assert_exactly_unbiased, exact_moments
from tests.support.injection import X

X1 = X[:1]


@pytest.mark.parametrize(
    ("estimator", "draws", "trace"), [(Reinforce(k=1), 1, 5.8466016479), (RLOO(k=2), 2, 1.3263941256)]
)
def test_three_bits(estimator, draws, trace):
    moments = assert_exactly_unbiased(estimator, three_bits(), Nonlinear(), X1, draws)
    assert moments.cost.item() == pytest.approx(2.391400921504148, abs=1e-12)
    gradient = torch.tensor([[0.01865208589731296, 0.3989724843577506, -0.02695848095446493]], dtype=torch.float64)
    torch.testing.assert_close(moments.mean, gradient, rtol=0, atol=1e-12)
    assert moments.variance.sum().item() == pytest.approx(trace, abs=1e-8)


@pytest.mark.parametrize("t", [0.45, 0.499])
@pytest.mark.parametrize("logit", [-1.3, 0.0, 0.8])
def test_one_bit(t, logit):
    q = Bernoulli(torch.tensor([[logit]], dtype=torch.float64))
    p = q.probs.item()
    v, gap = p * (1 - p), 1 - 2 * t
    pair = assert_exactly_unbiased(RLOO(k=2), q, Quadratic(t), X1, 2)
    single = assert_exactly_unbiased(Reinforce(), q, Quadratic(t), X1, 1)
    assert pair.mean.item() == pytest.approx(v * gap, abs=1e-12)
    assert pair.variance.item() == pytest.approx(v * gap**2 * (0.5 - v), abs=1e-12)
    second = p * (1 - p) ** 2 * (1 - t) ** 4 + (1 - p) * p**2 * t**4
    assert single.variance.item() == pytest.approx(second - (v * gap) ** 2, abs=1e-12)


@pytest.mark.parametrize(("mean", "std", "k"), [(1.0, 1.0, -3.0), (0.4, 0.7, 1.1)])
def test_score_function_of_gaussian_quadratic(mean, std, k):
    q = Gaussian(torch.tensor([[mean, math.log(std)]], dtype=torch.float64))
    moments = assert_exactly_unbiased(Reinforce(), q, Quadratic(k), X1, 1)
    m = mean - k
    expected = torch.tensor([[2 * m, 2 * std * std]], dtype=torch.float64)  # d/d log std = std d/d std
    torch.testing.assert_close(moments.mean, expected, rtol=0, atol=1e-8)
    of_mean = m**4 / std**2 + 14 * m**2 + 15 * std**2
    of_std = 2 * m**4 / std**2 + 60 * m**2 + 74 * std**2
    torch.testing.assert_close(
        moments.variance, torch.tensor([[of_mean, of_std * std**2]], dtype=torch.float64), rtol=1e-10, atol=0
    )


def test_two_samples_halve_the_variance():
    q, cost = three_bits(), Nonlinear()
    one, two = (exact_moments(Reinforce(k=k, baseline="constant", value=2.0), q, cost, X1, k) for k in (1, 2))
    torch.testing.assert_close(two.variance, one.variance / 2)


@pytest.mark.parametrize(
    ("wrong", "part"),
    [
        (planted.SelfBaseline, "mean"),
        (planted.BatchBaseline, "mean"),
        (planted.StandardisedReward, "mean"),
        (planted.MissingDetach, "decoder"),
        (planted.SumOverSamples, "mean"),
    ],
)
def test_planted_error_is_rejected(wrong, part):
    q, cost = small_latents()["bernoulli"]
    assert_exactly_unbiased(planted.Planted(), q, cost, X, 2)
    with pytest.raises(AssertionError, match=f"^{part}"):
        assert_exactly_unbiased(wrong(k=2), q, cost, X, 2)
