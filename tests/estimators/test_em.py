"""EM: the gradient of log p(x), exactly, and the limit of reweighted wake-sleep."""

from unittest import mock

import pytest
import torch
from torch import nn

from estimators import Bernoulli, chunks
from estimators.em import EM
from estimators.wake_sleep import ReweightedWakeSleep
from tests.support.costs import SampledKL, small_latents
from tests.support.enumerate import exact_moments
from tests.support.injection import live

X = torch.zeros(1, 3, dtype=torch.float64)
FAMILIES = ("bernoulli", "categorical", "vq")


def problem(family, seed=0):
    """q of two examples at a leaf, and -log w: a nonlinear likelihood with parameters, times the standard prior."""
    q, cost = small_latents()[family]
    torch.manual_seed(seed)
    params = q.params + seed * torch.randn_like(q.params)
    q = live(q.with_params(params))
    return q, SampledKL(cost, q)


def log_joint(q, cost):
    """log p(x, z) of every state `[S, B]`: q drops out."""
    z = q.enumerate()
    return -cost(z) + q.detach().log_prob(z)


def slopes(value, *inputs):
    return torch.autograd.grad(value.sum(), inputs, retain_graph=True, allow_unused=True)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("family", FAMILIES)
def test_the_decoder_gets_the_gradient_of_log_p(family, seed):
    """For every q, and q that of KL(p(z|x) || q)."""
    q, cost = problem(family, seed)
    estimate = EM()(q, cost, X)
    log_p = log_joint(q, cost).logsumexp(0)  # [B]
    weights = list(cost.parameters())
    torch.testing.assert_close(estimate.cost, -log_p.detach(), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(slopes(estimate.loss, *weights), slopes(-log_p, *weights), rtol=1e-10, atol=1e-10)
    posterior = (log_joint(q, cost) - log_p).exp().detach()
    divergence = (posterior * (posterior.log() - q.log_prob(q.enumerate()))).sum(0)
    torch.testing.assert_close(slopes(estimate.loss, q.params), slopes(divergence, q.params), rtol=1e-10, atol=1e-10)


def test_the_decoder_does_not_depend_on_q():
    q, cost = problem("bernoulli")
    expected = slopes(EM()(q, cost, X).loss, *cost.parameters())
    other, _ = problem("bernoulli", 3)
    moved = SampledKL(cost.cost, other)
    torch.testing.assert_close(slopes(EM()(other, moved, X).loss, *cost.parameters()), expected, rtol=1e-10, atol=0)


@pytest.mark.parametrize("family", ["bernoulli", "categorical"])
def test_nothing_to_learn_for_q_at_the_posterior(family):
    """One coordinate whose logits are those of the posterior."""
    q, _ = small_latents()[family]

    class First(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.tensor(0.7, dtype=torch.float64))

        def forward(self, z, q=None):
            z = z.flatten(-2) if z.ndim > 3 else z
            return (self.weight * z.cumsum(-1).sum(-1) - 1) ** 2

    shape = {"bernoulli": (1, 1), "categorical": (1, 1, 3)}[family]
    q = q.with_params(torch.zeros(shape, dtype=torch.float64))
    cost = First()
    joint = -cost(q.enumerate()).squeeze(-1)  # a uniform prior
    logits = joint[1:] - joint[:1] if family == "bernoulli" else joint
    q = live(q.with_params(logits.detach().view_as(q.params)))
    (slope,) = slopes(EM()(q, SampledKL(cost, q), X).loss, q.params)
    assert slope.abs().max() < 1e-15


def test_wake_sleep_tends_to_it():
    """Both gradients of reweighted wake-sleep come nearer, exactly enumerated, as its samples double."""
    cost_of_one = small_latents()["bernoulli"][1]

    class Bit(nn.Module):
        def __init__(self):
            super().__init__()
            self.weights = cost_of_one.weights

        def forward(self, z, q=None):
            return (z @ self.weights[:1] - 0.4) ** 2 + (0.9 * z[..., 0]).exp()

    q = live(Bernoulli(torch.tensor([[0.4]], dtype=torch.float64)))
    cost = SampledKL(Bit(), q)
    estimate = EM()(q, cost, X)
    limit = torch.cat([s.flatten() for s in slopes(estimate.loss, q.params, *cost.parameters())])

    def error(k):
        moments = exact_moments(ReweightedWakeSleep(k), q.detach(), cost, X, k)
        return torch.cat([moments.mean.flatten(), moments.decoder.flatten()]) - limit

    few, many = error(4), error(8)
    seen = few.abs() > 1e-6  # the second weight plays no part
    assert seen.sum() == 2
    torch.testing.assert_close((few / many)[seen], torch.full((2,), 2.0).double(), rtol=0, atol=0.5)


@pytest.mark.parametrize("family", FAMILIES)
def test_chunks_change_nothing(family):
    q, cost = problem(family)
    inputs = [q.params, *cost.parameters()]
    whole = EM()(q, cost, X)
    with mock.patch.dict(chunks.ELEMENTS, cpu=3 * q.params.numel()):
        parts = EM()(q, cost, X)
    torch.testing.assert_close(parts.cost, whole.cost, rtol=1e-13, atol=0)
    torch.testing.assert_close(slopes(parts.loss, *inputs), slopes(whole.loss, *inputs), rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_states_that_are_far_less_probable_stay_finite(dtype):
    q = Bernoulli(torch.tensor([[30.0, -40.0]], dtype=dtype, requires_grad=True))
    estimate = EM()(q, lambda z, q=None: 500 * z.sum(-1) + 1000, X)
    assert torch.autograd.grad(estimate.loss.sum(), q.params)[0].isfinite().all()
    assert estimate.cost.isfinite().all()


def test_refusals():
    q = small_latents()["categorical"][0]
    assert "would sum over 9 states" in EM(limit=8).refuses(q)
    with pytest.raises(ValueError, match="limit=8"):
        EM(limit=8)(q, lambda z, q=None: z.sum((-1, -2)), X)
    assert "gaussian" in EM().refuses(small_latents()["gaussian"][0])
    with pytest.raises(ValueError, match="limit >= 1; got limit=0"):
        EM(limit=0)
