"""Antithetic pairs, randomised Sobol points and the linearised control variate: exact by quadrature, or z-tests."""

import pytest
import torch
from torch import nn

from estimators import Estimate, Gaussian, as_loss
from estimators.antithetic import Antithetic
from estimators.qmc import QMC
from estimators.reparam import Reparam
from estimators.reparam_cv import ReparamCV
from tests.support.costs import Nonlinear, Quadratic, SampledKL, one_coordinate, small_latents
from tests.support.enumerate import assert_exactly_unbiased, assert_pure, exact_moments, replay, z_scores

X = torch.zeros(1, 3, dtype=torch.float64)
EVERY = (Antithetic, QMC, ReparamCV)


class Coupled(nn.Module):
    """A quadratic whose Hessian has no zeros, with a parameter."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(0.7, dtype=torch.float64))

    def forward(self, z, q=None):
        return (z[..., 0] - self.weight * z[..., 1] - 0.3) ** 2 + 2 * z[..., 0] * z[..., 1] + z[..., 1] ** 2


class Curious(nn.Module):
    """Steeper than a quadratic, in one coordinate, with a parameter."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(0.7, dtype=torch.float64))

    def forward(self, z, q=None):
        return (self.weight * z[..., 0] - 0.2) ** 4 + (0.5 * z[..., 0]).exp()


class Unmirrored(Antithetic):
    """Planted error: the second of a pair is on the lower side whatever the first is."""

    def forward(self, q, cost, x):
        noise = q.normal(self.k)
        c = cost(q.mean + q.std * torch.cat([noise, -noise.abs()]), q).mean(0)
        return Estimate(loss=c, cost=c)


class EvenCorrection(ReparamCV):
    """Planted error: what is subtracted does not have mean 0."""

    def forward(self, q, cost, x):
        noise = q.normal(self.k)
        c = cost(q.mean + q.std * noise, q).mean(0)
        return Estimate(loss=c - as_loss(q, torch.cat([noise**2] * 2, -1).mean(0)), cost=c)


@pytest.mark.parametrize("kl", ["analytic", "sampled"])
@pytest.mark.parametrize(("estimator", "wrong"), [(Antithetic, Unmirrored), (ReparamCV, EvenCorrection)])
def test_exactly_unbiased(estimator, wrong, kl):
    q = small_latents()["gaussian"][0]
    q = q.with_params(q.params[:1])
    cost = SampledKL(Nonlinear((0.8, -0.5)), q) if kl == "sampled" else Nonlinear((0.8, -0.5))
    assert_exactly_unbiased(estimator(), q, cost, X, 1, nodes=40)
    with pytest.raises(AssertionError, match="mean"):
        assert_exactly_unbiased(wrong(), q, cost, X, 1, nodes=40)


@pytest.mark.parametrize("estimator", [Antithetic(k=2), ReparamCV(k=2)], ids=lambda e: e.name)
def test_exactly_unbiased_with_two_draws(estimator):
    q = one_coordinate()
    assert_exactly_unbiased(estimator, q, SampledKL(Curious(), q), X, 2, nodes=40)


@pytest.mark.parametrize("sampled", [False, True])
@pytest.mark.parametrize("estimator", [Antithetic(), ReparamCV()], ids=lambda e: e.name)
def test_the_mean_of_a_quadratic_is_exact(estimator, sampled):
    q = small_latents()["gaussian"][0]
    q = q.with_params(q.params[:1])
    cost = SampledKL(Coupled(), q) if sampled else Coupled()
    for e, exact in ((estimator, True), (Reparam(), False)):
        variance = assert_exactly_unbiased(e, q, cost, X, 1).variance[..., :2]  # of the gradient of the mean
        assert (variance.max() < 1e-20) == exact


@pytest.mark.parametrize(("mean", "std", "k"), [(1.0, 1.0, -3.0), (0.4, 0.7, 1.1)])
def test_variances_of_a_quadratic(mean, std, k):
    """d/d log std of (z - k)^2 is 2 (m + s e) s e; both estimators take the odd part 2 m s e away: 8 s^4 stays."""
    expected = torch.tensor([[0, 8 * std**4]], dtype=torch.float64)
    for estimator in (Antithetic(), ReparamCV()):
        moments = exact_moments(estimator, one_coordinate(mean, std), Quadratic(k), X, 1)
        torch.testing.assert_close(moments.variance, expected, rtol=1e-10, atol=1e-20)


@pytest.mark.parametrize("estimator", [Antithetic(k=2), QMC(k=1), QMC(k=3), QMC(k=4), ReparamCV(k=2)], ids=repr)
def test_sampled_means_agree_with_the_truth(estimator):
    q, cost = small_latents()["gaussian"]
    assert z_scores(estimator, q, SampledKL(cost, q), X).abs().max() < 4.5


@pytest.mark.parametrize("k", [1, 3])
def test_the_correction_is_the_linearisation_and_spares_the_decoder(k):
    """Against the Hessian of the cost written out; the decoder's gradient is that of plain reparameterisation."""
    q = Gaussian(torch.randn(7, 4, dtype=torch.float64))
    cost, noise = SampledKL(Nonlinear((0.8, -0.5)), q), torch.randn(k, 5, 7, 2, dtype=torch.float64)
    estimates = {}
    for estimator in (ReparamCV(k=k), Reparam(k=k)):
        replicas = replay(q, noise)
        loss = estimator(replicas, cost, X).loss.sum()
        estimates[estimator.name] = torch.autograd.grad(loss, [replicas.params, *cost.parameters()])
    torch.testing.assert_close(estimates["reparam_cv"][1], estimates["reparam"][1], rtol=1e-12, atol=0)
    step = q.std * noise.mean(0)  # [5, 7, 2]
    prior = Gaussian(torch.zeros(1, 4, dtype=torch.float64))
    for b in range(7):
        field = lambda z: cost.cost(z) - prior.log_prob(z[None])[0]  # noqa: E731
        slope = torch.autograd.functional.jacobian(field, q.mean[b])
        hessian = torch.autograd.functional.hessian(field, q.mean[b])
        expected = torch.cat([step[:, b] @ hessian, slope * step[:, b]], -1)
        got = (estimates["reparam"][0] - estimates["reparam_cv"][0])[:, b]
        torch.testing.assert_close(got, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("cls", EVERY)
def test_samples_are_averaged(cls):
    """Two samples are the mean of two times one; for Sobol points, whatever the shift, of the mean over the points."""
    q, cost = small_latents()["gaussian"]
    noise = torch.randn(2, 1, *q.mean.shape, dtype=torch.float64)

    def gradient(estimator, draws):
        replicas = replay(q, draws)
        return torch.autograd.grad(estimator(replicas, cost, X).loss.sum(), replicas.params)[0]

    if cls is QMC:
        points = QMC(k=2).noise(replay(q, noise[:1]))
        both, singles = gradient(QMC(k=2), noise[:1]), [gradient(Reparam(), p[None]) for p in points]
    else:
        both, singles = gradient(cls(k=2), noise), [gradient(cls(k=1), n[None]) for n in noise]
    torch.testing.assert_close(both, (singles[0] + singles[1]) / 2, rtol=0, atol=1e-12)


@pytest.mark.parametrize("cls", EVERY)
def test_forward_is_pure_and_any_batch_shape_goes(cls):
    q, cost = small_latents()["gaussian"]
    q = q.with_params(q.params.expand(3, 2, 4).clone().requires_grad_())
    assert_pure(cls(), q, cost, X)
    estimate = cls(k=2)(q, cost, X)
    assert estimate.loss.shape == estimate.cost.shape == (3, 2)
    with pytest.raises(ValueError, match="k >= 1"):
        cls(k=0)
