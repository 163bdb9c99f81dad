"""Pathwise estimators of a Gaussian, by quadrature over their noise."""

import pytest
import torch
from torch import nn

from estimators import Gaussian
from estimators.reparam import Reparam
from estimators.stl import STL
from tests.support import planted
from tests.support.costs import Nonlinear, Quadratic, SampledKL, one_coordinate, small_latents
from tests.support.enumerate import assert_exactly_unbiased, exact_moments, z_scores

X = torch.zeros(1, 3, dtype=torch.float64)


@pytest.mark.parametrize(("mean", "std", "k"), [(1.0, 1.0, -3.0), (0.4, 0.7, 1.1)])
@pytest.mark.parametrize("samples", [1, 2])
def test_pathwise_of_quadratic(mean, std, k, samples):
    moments = assert_exactly_unbiased(
        Reparam(k=samples), one_coordinate(mean, std), Quadratic(k), X, samples, tolerance=1e-9
    )
    m = mean - k
    expected = torch.tensor([[2 * m, 2 * std * std]], dtype=torch.float64)  # d/d log std = std d/d std
    torch.testing.assert_close(moments.mean, expected, rtol=0, atol=1e-9)
    variance = torch.tensor([[4 * std**2, (4 * m**2 + 8 * std**2) * std**2]], dtype=torch.float64) / samples
    torch.testing.assert_close(moments.variance, variance, rtol=1e-10, atol=0)


@pytest.mark.parametrize("estimator", [Reparam(), STL()], ids=lambda e: e.name)
def test_pathwise_is_exactly_unbiased_with_the_sampled_kl(estimator):
    q = small_latents()["gaussian"][0]
    q = q.with_params(q.params[:1])
    cost = SampledKL(Nonlinear((0.8, -0.5)), q)
    assert_exactly_unbiased(estimator, q, cost, X, 1, nodes=40)
    with pytest.raises(AssertionError, match="mean"):
        assert_exactly_unbiased(planted.FrozenStd(), q, cost, X, 1, nodes=40)


def test_sampled_kl_has_the_analytic_gradient():
    """The KL adds mean to d/d mean and std^2 - 1 to d/d log std; (z - 0)^2 adds 2 mean and 2 std^2."""
    q = one_coordinate(0.6, 0.5)
    cost = SampledKL(Quadratic(0.0), q)
    analytic = torch.tensor([[0.6 + 2 * 0.6, 0.5**2 - 1 + 2 * 0.5**2]], dtype=torch.float64)
    for estimator in (Reparam(), STL()):
        moments = assert_exactly_unbiased(estimator, q, cost, X, 1)
        torch.testing.assert_close(moments.mean, analytic, rtol=0, atol=1e-9)


class Posterior(nn.Module):
    """-log p(x, z) whose posterior is N(mean, std^2), with log q(z) as the sampled KL has it."""

    def __init__(self, q: Gaussian, mean: float, std: float):
        super().__init__()
        self.q, self.std = q, std
        self.mean = nn.Parameter(torch.tensor(mean, dtype=torch.float64))

    def forward(self, z, q=None):
        q = self.q.detach() if q is None else q
        return (0.5 * ((z - self.mean) / self.std) ** 2).sum(-1) + q.log_prob(z)


def test_stl_has_no_variance_at_the_posterior():
    q = one_coordinate(0.4, 0.7)
    cost = Posterior(q, 0.4, 0.7)
    stl, total = (exact_moments(e, q, cost, X, 1) for e in (STL(), Reparam()))
    torch.testing.assert_close(stl.variance, torch.zeros(1, 2, dtype=torch.float64), rtol=0, atol=1e-24)
    # The total derivative keeps the score of q: variance 1 / std^2 for the mean, 2 for log std.
    torch.testing.assert_close(total.variance, torch.tensor([[1 / 0.49, 2.0]], dtype=torch.float64))
    torch.testing.assert_close(total.mean, torch.zeros(1, 2, dtype=torch.float64), rtol=0, atol=1e-12)
    elsewhere = exact_moments(STL(), one_coordinate(0.5, 0.7), Posterior(one_coordinate(0.5, 0.7), 0.4, 0.9), X, 1)
    assert elsewhere.variance.min() > 1e-3


@pytest.mark.parametrize("estimator", [Reparam(k=2), STL(k=2)], ids=lambda e: e.name)
def test_sampled_mean_agrees_with_the_truth(estimator):
    q, cost = small_latents()["gaussian"]
    cost = SampledKL(cost, q)
    assert z_scores(estimator, q, cost, X).abs().max() < 4.5
    assert z_scores(planted.FrozenStd(), q, cost, X).abs().max() > 6


@pytest.mark.parametrize("cls", [Reparam, STL])
def test_at_least_one_sample(cls):
    with pytest.raises(ValueError, match="k >= 1"):
        cls(k=0)


def test_stl_asks_for_log_q_in_the_cost():
    assert STL.kl == "sampled"
    assert Reparam.kl == "any"
