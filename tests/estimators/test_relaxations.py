"""Gapped and decoupled straight-through, invertible Gaussian reparameterisation, and presets."""

import math

import numpy as np
import pytest
import torch

import bench
from estimators import Categorical
from estimators.decoupled_st_gumbel import DecoupledSTGumbel
from estimators.gapped_st import GappedST
from estimators.gumbel_rao import GumbelRao
from estimators.igr import IGR
from estimators.st_gumbel_softmax import STGumbelSoftmax
from tests.support.discrete import assert_mean, assert_unbiased, cost_of, exact_gradient, gumbels, make, over_samples
from tests.support.injection import gradient, injected, replicated


@pytest.mark.parametrize(("gap", "temperature"), [(1.0, 1.0), (0.2, 0.5), (0.0, 1.0)])
def test_gapped_st_is_its_formula(gap, temperature):
    """One coordinate at a time; and another gap gives another gradient."""
    q = make("categorical", (6,))
    z = q.sample(1)
    q = injected(q, sample=[z])
    point = z.clone().requires_grad_()
    slope = torch.autograd.grad(cost_of(q)(point).sum(), point)[0][0]
    expected = torch.zeros_like(slope)
    for b, d in np.ndindex(*slope.shape[:2]):
        logits, chosen = q.logits[b, d].detach(), z[0, b, d].argmax()
        moved = torch.minimum(logits, logits.max() - gap)
        moved[chosen] = logits.max()
        p = torch.softmax(moved / temperature, 0)
        assert p.argmax() == chosen or gap == 0
        expected[b, d] = p * (slope[b, d] - p @ slope[b, d]) / temperature
    got, other = (gradient(GappedST(temperature=temperature, gap=g), q, cost_of(q)) for g in (gap, gap + 0.5))
    torch.testing.assert_close(got, expected, rtol=0, atol=1e-12)
    assert (other - expected).abs().max() > 1e-3


def test_gapped_st_is_biased():
    bare = make("categorical", (1,))
    q, weights = over_samples(bare)
    with pytest.raises(AssertionError):
        assert_mean(gradient(GappedST(), q, cost_of(bare)), weights, exact_gradient(bare, cost_of(bare)), 1e-3)


@pytest.mark.parametrize("family", ["categorical", "vq"])
def test_decoupled_at_temperatures_1_is_st_gumbel(family):
    bare = make(family, (5,))
    q, cost = injected(bare, gumbel=[gumbels(2, *bare.logits.shape)]), cost_of(bare)
    expected = gradient(STGumbelSoftmax(k=2), q, cost)
    same = gradient(DecoupledSTGumbel(k=2, temperature=1.0), q, cost)
    torch.testing.assert_close(same, expected, rtol=0, atol=1e-12)
    assert (gradient(DecoupledSTGumbel(k=2), q, cost) - expected).abs().max() > 1e-3


def test_decoupled_samples_the_tempered_distribution_and_differentiates_the_other():
    bare, seen = make("categorical", (1,)), []

    def cost(z, q=None):
        seen.append(z.detach())
        return cost_of(bare)(z)

    noise = gumbels(1, 200_000, *bare.logits.shape)
    q = injected(replicated(bare, 200_000), gumbel=[noise])
    got = gradient(DecoupledSTGumbel(forward_temperature=0.5, temperature=2.0), q, cost)
    z = seen[0]  # [1, R, 1, D, C]
    probs = torch.softmax(bare.logits.detach() / 0.5, -1)
    assert_unbiased(z[0], probs, 0.01)
    with pytest.raises(AssertionError):
        assert_unbiased(z[0], bare.probs.detach(), 0.01)
    point = z.requires_grad_()
    slope = torch.autograd.grad(cost_of(bare)(point).sum(), point)[0]
    soft = torch.softmax(bare.logits.detach() / 2 + noise, -1)
    expected = soft * (slope - (soft * slope).sum(-1, keepdim=True)) / 2
    torch.testing.assert_close(got, expected[0], rtol=0, atol=1e-12)


@pytest.mark.parametrize("kl", ["analytic", "sampled"])
def test_igr_differentiates_the_mean_cost_of_its_points(kl):
    """Gauss-Hermite over the two Gaussians of three categories, against central differences of the quadrature."""
    logits = torch.tensor([[[0.4, -0.3, 0.9]]], dtype=torch.float64)
    node, weight = (torch.from_numpy(a) for a in np.polynomial.hermite_e.hermegauss(40))
    grid = torch.cartesian_prod(torch.arange(40), torch.arange(40))
    noise, weights = node[grid].view(1, -1, 1, 1, 2), (weight / weight.sum())[grid].prod(1)
    estimator = IGR(temperature=0.8, scale=0.6, delta=0.5)

    def cost(z, q=None):
        nats = (z[..., 0, :] @ torch.tensor([1.0, -2.0, 0.5], dtype=z.dtype)) ** 2 + z[..., 0, 1].exp()
        return nats if kl == "analytic" else nats + (Categorical(logits) if q is None else q).log_prob(z)

    def at(values):
        return injected(Categorical(values.expand(1600, 1, 1, 3).clone().requires_grad_()), normal=[noise])

    def value(values):
        q, points = at(values), []
        estimator(q, lambda z, q=None: points.append(z) or cost(z, q), None)
        return (weights @ cost(points[0], q).squeeze(0)).item()

    steps = 1e-5 * torch.eye(3, dtype=torch.float64)
    expected = [(value(logits + s) - value(logits - s)) / 2e-5 for s in steps]
    expected = torch.tensor(expected, dtype=torch.float64).view(1, 1, 3)
    gradients = gradient(estimator, at(logits), cost)
    assert_mean(gradients, weights, expected, 1e-8)
    if kl == "sampled":
        frozen = gradient(estimator, at(logits), lambda z, q=None: cost(z))
        with pytest.raises(AssertionError):
            assert_mean(frozen, weights, expected, 1e-2)
        return
    with pytest.raises(AssertionError):
        assert_mean(gradients, weights, exact_gradient(Categorical(logits.requires_grad_()), cost), 1e-3)


def test_igr_is_invertible_and_softmax_without_noise():
    q, seen = make("categorical", (5,)), []

    def cost(z, frozen=None):
        seen.append(z)
        return cost_of(q)(z)

    torch.manual_seed(3)
    IGR(k=2, temperature=0.7, scale=0.6, delta=0.3)(q, cost, None)
    torch.manual_seed(3)
    y = q.logits[..., :-1] - q.logits[..., -1:] + 0.6 * q.normal(2)
    back = 0.7 * ((seen[0][..., :-1] / seen[0][..., -1:]).log() + math.log(0.3))
    torch.testing.assert_close(back, y, rtol=0, atol=1e-12)
    IGR(scale=1e-15)(q, cost, None)
    torch.testing.assert_close(seen[1][0], q.probs, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: GumbelRao(draws=0), "draws >= 1"),
        (lambda: GumbelRao(temperature=0), "above 0"),
        (lambda: GappedST(k=0), "k >= 1"),
        (lambda: GappedST(temperature=0), "above 0"),
        (lambda: GappedST(gap=-0.1), "gap >= 0"),
        (lambda: DecoupledSTGumbel(k=0), "k >= 1"),
        (lambda: DecoupledSTGumbel(forward_temperature=0), "above 0"),
        (lambda: IGR(k=0), "k >= 1"),
        (lambda: IGR(delta=0), "above 0"),
    ],
)
def test_impossible_values(build, message):
    with pytest.raises(ValueError, match=message):
        build()


def test_presets():
    assert bench.estimator("concrete").temperature() == pytest.approx(2 / 3)
    assert bench.estimator("straight_through_identity").jacobian == "identity"
    assert "clips" in bench.estimator("straight_through_clipped").refuses(make("categorical", (1,)))
    annealed = bench.estimator("straight_through_annealed")
    slopes = []
    for step in (0, 8_000, 100_000):
        annealed.temperature.step.fill_(step)
        slopes.append(1 / annealed.temperature().item())
    assert slopes == pytest.approx([1, math.exp(0.8), 5])
