"""Perturbed logits given the sample: they harden to it, and have the law of a perturbation given it."""

import pytest
import torch

from estimators.latents import Bernoulli, Categorical
from tests.support.noise_laws import DISCRETE, DRAWS, LEVEL, REFUSED, make, same_law


@pytest.mark.parametrize("family", DISCRETE)
def test_conditional_hardens_to_z(family, dtype):
    q = make(family, dtype)
    states = q.enumerate().expand(-1, *q.batch_shape, *q.enumerate().shape[3:])
    z = states.repeat(500, *[1] * (states.ndim - 1))
    assert torch.equal(q.harden(q.conditional(z)), z)
    assert not torch.equal(q.harden(q.perturbed(len(z))), z)


@pytest.mark.parametrize("logit", [-20.0, -14.0, 14.0, 20.0])
def test_conditional_hardens_to_z_at_improbable_bits(logit, dtype):
    q = Bernoulli(torch.full((1, 1), logit, dtype=dtype))
    for bit in (0.0, 1.0):
        z = torch.full((10_000, 1, 1), bit, dtype=dtype)
        assert torch.equal(q.harden(q.conditional(z)), z)


@pytest.mark.parametrize("family", DISCRETE)
def test_conditional_has_the_law_of_perturbed_given_z(family):
    q = make(family)
    perturbed = q.perturbed(DRAWS)
    decided = q.harden(perturbed)
    for example in range(2):
        z = decided[0, example, 0]
        kept = (decided[:, example, 0] == z).flatten(1).all(1)  # rejection
        given = perturbed[kept, example, 0].flatten(1)
        n = len(given)
        assert n > 500
        drawn = q.conditional(z.expand(n, *q.batch_shape, *z.shape))[:, example, 0].flatten(1)
        assert same_law(given, drawn) > LEVEL
        unconditional = perturbed[:n, example, 0].flatten(1)
        assert same_law(given, unconditional) < REFUSED


@pytest.mark.parametrize("family", DISCRETE)
def test_conditional_mixed_over_z_is_perturbed(family):
    q, n = make(family), 30_000
    mixed, perturbed = q.conditional(q.sample(n)).flatten(1), q.perturbed(n).flatten(1)
    assert same_law(mixed, perturbed) > LEVEL
    assert same_law(q.conditional(make(family, shift=0.5).sample(n)).flatten(1), perturbed) < REFUSED


def test_conditional_of_bits_in_closed_form(dtype):
    """Tucker et al., REBAR, arXiv:1703.07370, appendix: the reparameterisation of the noise given the bit."""
    v = torch.rand(50, 2, 1, 3, dtype=dtype).clamp(0.01, 0.99)

    class Injected(Bernoulli):
        def uniform(self, k):
            return v

    q = Injected(make("bernoulli", dtype).params.requires_grad_())
    p, z = q.probs, q.sample(50)
    odds, flipped = v / (1 - v), (1 - v) / v
    expected = torch.where(z > 0.5, torch.log1p(odds / (1 - p)), -torch.log1p(flipped / p))
    ours = q.conditional(z)
    torch.testing.assert_close(ours, expected, rtol=1e-4, atol=1e-5)
    gradient = [torch.autograd.grad(out.square().sum(), q.params, retain_graph=True)[0] for out in (ours, expected)]
    torch.testing.assert_close(*gradient, rtol=1e-4, atol=1e-4)


def test_conditional_of_categories_in_closed_form(dtype):
    """Tucker et al., REBAR, arXiv:1703.07370, appendix: Gumbels given which one is the largest."""
    v = torch.rand(50, 2, 1, 2, 3, dtype=dtype).clamp(0.01, 0.99)

    class Injected(Categorical):
        def gumbel(self, k):
            return -torch.log(-torch.log(v))

    q = Injected(make("categorical", dtype).params.requires_grad_())
    z = Categorical(q.params).sample(50)
    minus_log = -torch.log(v)  # exponential noise
    top = (z * minus_log).sum(-1, keepdim=True)
    expected = -torch.log(torch.where(z > 0.5, top, minus_log / q.probs + top)) + q.logits.logsumexp(-1, keepdim=True)
    ours = q.conditional(z)
    torch.testing.assert_close(ours, expected, rtol=1e-4, atol=1e-5)
    gradient = [torch.autograd.grad(out.square().sum(), q.params, retain_graph=True)[0] for out in (ours, expected)]
    torch.testing.assert_close(*gradient, rtol=1e-4, atol=1e-4)
