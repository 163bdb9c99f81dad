"""Local expectation: exact means by enumeration of the shared sample. Measure-valued bits are the same thing."""

import pytest
import torch
from torch import nn

from estimators import Bernoulli, Categorical, chunks
from estimators.base import Estimate, as_loss
from estimators.local_expectation import LocalExpectation, category_costs
from estimators.measure_valued import MeasureValued
from tests.support.costs import Nonlinear, SampledKL, small_latents, three_bits
from tests.support.enumerate import assert_exactly_unbiased, assert_pure, exact_moments, true_gradient
from tests.support.injection import X, leaf_gradient

X1 = X[:1]
DISCRETE = ["bernoulli", "categorical", "vq"]


class Uncentred(LocalExpectation):
    """Planted error: the mean over the coordinate's own values is not subtracted."""

    def forward(self, q, cost, x):
        z = q.sample(1)
        c = cost(z)
        return Estimate(as_loss(q, q.probs * category_costs(q, cost, x, z, c)[0]) + c[0], c[0])


class ForgottenRotation(LocalExpectation):
    """Planted error: the costs of the alternatives stay in the order of their rotation away from the sample."""

    def forward(self, q, cost, x):
        z = q.sample(1)
        c, probs = cost(z), q.probs.detach()
        costs = category_costs(q, cost, x, z, c)[0].gather(-1, (z[0].argmax(-1, True) + torch.arange(3)) % 3)
        return Estimate(as_loss(q, probs * (costs - (probs * costs).sum(-1, True))) + c[0], c[0])


@pytest.mark.parametrize("family", DISCRETE)
def test_exact_mean(family):
    q, cost = small_latents()[family]
    assert_exactly_unbiased(LocalExpectation(), q, cost, X, 1)
    assert_exactly_unbiased(LocalExpectation(), q, SampledKL(cost, q), X, 1)
    assert_pure(LocalExpectation(), q, cost, X)


@pytest.mark.parametrize("wrong", [Uncentred, ForgottenRotation])
def test_planted_error_is_rejected(wrong):
    q, cost = small_latents()["categorical"]
    with pytest.raises(AssertionError, match=r"^mean"):
        assert_exactly_unbiased(wrong(), q, cost, X, 1)


class Separable(nn.Module):
    """A sum of nonlinear terms of one coordinate each, with a parameter."""

    def __init__(self):
        super().__init__()
        self.w = nn.Parameter(torch.tensor(1.3, dtype=torch.float64))

    def forward(self, z, q=None):
        values = z if z.shape[-1] == 2 else z @ torch.arange(3, dtype=z.dtype)
        return ((self.w * values).exp() + values**3).sum(-1)


@pytest.mark.parametrize("family", DISCRETE)
def test_exact_draw_by_draw_where_coordinates_do_not_interact(family):
    q, cost = small_latents()[family][0], Separable()
    expected = true_gradient(q, cost).mean
    for _ in range(3):
        torch.testing.assert_close(leaf_gradient(LocalExpectation(), q, cost, X), expected, rtol=0, atol=1e-12)
    q, cost = small_latents()[family]
    assert exact_moments(LocalExpectation(), q, cost, X, 1).variance.max() > 1e-3  # they do interact here


@pytest.mark.parametrize("family", DISCRETE)
def test_evaluations(family):
    q, cost = small_latents()[family]
    seen = []
    LocalExpectation()(q, lambda z, q=None: seen.append(z.detach()) or cost(z), X)
    alternatives = q.probs.shape[-1] - 1 if family != "bernoulli" else 1
    assert sum(len(z) for z in seen) == 1 + 2 * alternatives
    points = torch.cat(seen).flatten(2)
    assert len(points[:, 0].unique(dim=0)) == len(points)  # none twice


@pytest.mark.parametrize("family", [*DISCRETE, "gaussian"])
def test_chunks_change_nothing(family, monkeypatch):
    q, cost = small_latents()[family]
    estimator = MeasureValued(k=3) if family == "gaussian" else LocalExpectation()
    torch.manual_seed(1)
    whole, calls = leaf_gradient(estimator, q, cost, X), []
    monkeypatch.setitem(chunks.ELEMENTS, "cpu", 1)
    torch.manual_seed(1)
    one_by_one = leaf_gradient(estimator, q, lambda z, q=None: calls.append(len(z)) or cost(z), X)
    torch.testing.assert_close(one_by_one, whole, rtol=0, atol=1e-14)
    assert len(calls) > 2


@pytest.mark.parametrize("family", [*DISCRETE, "gaussian"])
def test_replicas_equal_a_loop(family):
    base, cost = small_latents()[family]
    estimator = MeasureValued() if family == "gaussian" else LocalExpectation()
    params = torch.randn(4, *base.params.shape, dtype=torch.float64)
    if family == "gaussian":
        noise = torch.randn(2, 1, 4, *base.mean.shape, dtype=torch.float64).abs()
        names = [("rayleigh", noise[0]), ("maxwell", (noise[0] + noise[1], noise[0]))]
    else:
        names = [("sample", base.with_params(params).sample(1))]

    def replay(r):
        q = base.with_params(params[r])
        for name, value in names:
            fixed = tuple(v[:, r] for v in value) if isinstance(value, tuple) else value[:, r]
            setattr(q, name, lambda k, fixed=fixed: fixed)
        q.params.requires_grad_()
        return torch.autograd.grad(estimator(q, cost, X).loss.sum(), q.params)[0]

    together = replay(slice(None))
    torch.testing.assert_close(together, torch.stack([replay(r) for r in range(4)]), rtol=0, atol=1e-12)


def test_bits_measured_are_local_expectations():
    q, cost = three_bits(), Nonlinear()
    for coupled in (True, False):
        torch.manual_seed(2)
        expected = leaf_gradient(LocalExpectation(), q, cost, X1)
        torch.manual_seed(2)
        torch.testing.assert_close(
            leaf_gradient(MeasureValued(coupled=coupled), q, cost, X1), expected, rtol=0, atol=1e-14
        )
    assert_exactly_unbiased(MeasureValued(k=2), q, cost, X1, 2)


def test_a_bit_is_a_category_of_two():
    logits, z = torch.randn(2, 3, dtype=torch.float64), torch.randint(2, (1, 2, 3)).double()
    bits = Bernoulli(logits)
    pairs = Categorical(torch.stack([torch.zeros_like(logits), logits], -1))
    bits.sample, pairs.sample = lambda k: z, lambda k: torch.stack([1 - z, z], -1)
    for q in (bits, pairs):
        q.params.requires_grad_()
    cost = Nonlinear()
    loss = LocalExpectation()(pairs, lambda z, q=None: cost(z[..., 1]), X).loss.sum()
    expected = torch.autograd.grad(loss, pairs.params)[0][..., 1]
    loss = LocalExpectation()(bits, cost, X).loss.sum()
    torch.testing.assert_close(torch.autograd.grad(loss, bits.params)[0], expected, rtol=0, atol=1e-13)


def test_refusals():
    with pytest.raises(ValueError, match="k >= 1; got k=0"):
        MeasureValued(k=0)
    assert "made for bernoulli, categorical, vq" in LocalExpectation().refuses(small_latents()["gaussian"][0])
    assert "made for gaussian, bernoulli" in MeasureValued().refuses(small_latents()["vq"][0])
