"""REBAR: exact means over the noise of one bit, z-tests beyond, what its scale and its tuning do, and VQ."""

import math

import pytest
import torch

from estimators import Bernoulli, Categorical
from estimators.rebar import RELAXATIONS, Rebar
from tests.support.discrete import (
    GRADIENT,
    THREE_BITS,
    assert_mean,
    assert_unbiased,
    cost_of,
    exact_gradient,
    held_conditional,
    interacting,
    make,
    one_bit,
    over_quadrature,
    same_relaxation,
)
from tests.support.injection import gradient, replicated


@pytest.mark.parametrize(("logit", "temperature"), [(0.4, 0.5), (-1.3, 1.0)])
@pytest.mark.parametrize("scale", [1.0, -0.4])
@pytest.mark.parametrize("relaxation", RELAXATIONS)
def test_rebar_one_bit_mean_over_the_noise(relaxation, logit, temperature, scale):
    bit = Bernoulli(torch.tensor([[logit]], dtype=torch.float64, requires_grad=True))
    (q, weights), expected = over_quadrature(bit, 2), exact_gradient(bit, one_bit)
    estimator = Rebar(scale=scale, temperature=temperature, relaxation=relaxation)
    assert_mean(gradient(estimator, q, one_bit), weights, expected, 1e-8)
    for planted in (held_conditional, same_relaxation):
        with pytest.raises(AssertionError):
            assert_mean(gradient(estimator, planted(q), one_bit), weights, expected, 1e-8)


# The last number bounds the smallest bias that |z| < 4.5 shows in every coordinate over these 200,000 draws.
@pytest.mark.parametrize(
    ("family", "relaxation", "detectable"),
    [
        ("bernoulli", "concrete", 0.011),
        ("categorical", "concrete", 0.065),
        ("vq", "concrete", 0.065),
        ("bernoulli", "muprop", 0.011),
        ("categorical", "muprop", 0.065),
        ("vq", "muprop", 0.08),
    ],
)
def test_rebar_is_unbiased(family, relaxation, detectable):
    bare = Bernoulli(THREE_BITS.clone().requires_grad_()) if family == "bernoulli" else make(family, (1,))
    q, cost = replicated(bare, 200_000), cost_of(bare)
    estimator = Rebar(scale=0.8, temperature=0.6, relaxation=relaxation)
    expected = exact_gradient(bare, cost)
    assert_unbiased(gradient(estimator, q, cost), expected, detectable)
    if family == "bernoulli":
        torch.testing.assert_close(expected, GRADIENT, rtol=0, atol=1e-12)
        with pytest.raises(AssertionError):
            assert_unbiased(gradient(estimator, same_relaxation(q), cost), expected, math.inf)


@pytest.mark.parametrize("family", ["bernoulli", "categorical", "vq"])
def test_rebar_at_scale_0_is_reinforce_and_the_decoder_never_sees_the_relaxations(family):
    q, weight = make(family, (5,)), torch.tensor(1.3, dtype=torch.float64, requires_grad=True)

    def cost(z, frozen=None):
        return cost_of(q)(weight * z)

    def differentiate(loss):
        return torch.autograd.grad(loss.sum(), [q.params, weight])

    torch.manual_seed(3)
    z = q.sample(2)
    reinforce = differentiate((cost(z).detach() * q.log_prob(z) + cost(z)).mean(0))
    for scale in (0.0, 1.0):
        torch.manual_seed(3)
        estimator = Rebar(k=2, scale=scale)
        estimate = estimator(q, cost, None)
        encoder, decoder = differentiate(estimate.loss)
        torch.testing.assert_close(decoder, reinforce[1], rtol=1e-12, atol=0)
        assert torch.allclose(encoder, reinforce[0], rtol=0, atol=1e-12) == (scale == 0)
        torch.testing.assert_close(estimate.cost, cost(z).mean(0), rtol=0, atol=1e-12)


@pytest.mark.parametrize("family", ["bernoulli", "categorical"])
@pytest.mark.parametrize("relaxation", RELAXATIONS)
def test_rebar_tuning(relaxation, family):
    q, estimator = make(family, (5,)), Rebar(k=2, relaxation=relaxation).double()
    own = list(estimator.parameters())

    def tuning():
        torch.manual_seed(3)
        return estimator(q, cost_of(q), None)

    estimate = tuning()
    slopes = torch.autograd.grad(estimate.tuning.sum(), [*own, q.params], allow_unused=True)
    assert slopes[-1] is None
    encoder, *from_loss = torch.autograd.grad(estimate.loss.sum(), [q.params, *own], allow_unused=True)
    assert from_loss == [None, None]
    torch.testing.assert_close(estimate.tuning, encoder.square().flatten(1).sum(1), rtol=1e-12, atol=0)
    for parameter, slope in zip(own, slopes, strict=False):
        values = []
        for step in (1e-5, -2e-5):
            with torch.no_grad():
                parameter += step
            values.append(tuning().tuning.sum().item())
        with torch.no_grad():
            parameter += 1e-5
        assert slope.item() == pytest.approx((values[0] - values[1]) / 2e-5, rel=1e-6)
    assert Rebar(learn=False)(q, cost_of(q), None).tuning is None


def test_rebar_on_vq_is_rebar_on_its_code_logits():
    q = make("vq", (5,))
    codes = Categorical(q.logits.detach().requires_grad_())
    torch.manual_seed(3)
    on_vectors = Rebar()(q, interacting, None)
    torch.manual_seed(3)
    on_logits = Rebar()(codes, interacting, None)
    torch.testing.assert_close(on_vectors.tuning, on_logits.tuning, rtol=1e-12, atol=0)
    (slope,) = torch.autograd.grad(on_logits.loss.sum(), codes.params)
    (expected,) = torch.autograd.grad(q.logits, q.params, slope)
    torch.testing.assert_close(torch.autograd.grad(on_vectors.loss.sum(), q.params)[0], expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("temperature", [0.3, 1.0, 7.0])
def test_the_muprop_relaxation_of_a_bit_is_its_formula(temperature):
    """Tucker et al.: sigmoid((T^2 + T + 1) / (T + 1) / T logit + logit(u) / T)."""
    logit, u = torch.tensor([[0.8]], dtype=torch.float64), torch.tensor([[[0.3]]], dtype=torch.float64)
    q = Bernoulli(logit)
    estimator = Rebar(temperature=temperature, relaxation="muprop").double()
    got = estimator.relax(q, logit + u.logit())
    factor = (temperature**2 + temperature + 1) / (temperature + 1)
    torch.testing.assert_close(got, torch.sigmoid((factor * logit + u.logit()) / temperature), rtol=1e-6, atol=0)


@pytest.mark.parametrize("family", ["bernoulli", "categorical", "vq"])
def test_limits_of_the_relaxations(family):
    """The sample as T falls; as T grows, the probabilities for one and what no logit enters for the other."""
    q = make(family, (5,))
    noisy = q.perturbed(3)
    uniform = torch.full_like(q.probs, 1 / 2 if family == "bernoulli" else 1 / q.probs.shape[-1])
    for relaxation, limit in (("muprop", q.probs), ("concrete", uniform)):
        cold, hot = (Rebar(temperature=t, relaxation=relaxation).double() for t in (1e-6, 1e6))
        torch.testing.assert_close(cold.relax(q, noisy), q.harden(noisy.detach()), rtol=0, atol=1e-6)
        torch.testing.assert_close(hot.relax(q, noisy), limit.expand(3, *limit.shape), rtol=0, atol=1e-4)


def test_an_unknown_relaxation_is_refused():
    with pytest.raises(ValueError, match="muprop, concrete; got relaxation=soft"):
        Rebar(relaxation="soft")
