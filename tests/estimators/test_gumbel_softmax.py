"""Gumbel-softmax, soft and straight-through: means integrated over the noise of one bit, and bits as categories."""

import math

import pytest
import torch
from scipy.integrate import quad

from estimators import Bernoulli, Categorical
from estimators.gumbel_softmax import GumbelSoftmax
from estimators.st_gumbel_softmax import STGumbelSoftmax
from tests.support.discrete import assert_mean, one_bit, one_bit_slope, over_quadrature, three_bits
from tests.support.injection import gradient, injected


@pytest.mark.parametrize(("logit", "temperature"), [(0.4, 0.5), (-1.3, 1.0)])
def test_one_bit_means_over_the_noise(logit, temperature):
    bit = Bernoulli(torch.tensor([[logit]], dtype=torch.float64, requires_grad=True))

    def soft(u):
        return 1 / (1 + math.exp(-(logit + math.log(u / (1 - u))) / temperature))

    def mean(slope):
        """E slope(soft) d soft / d logit, by an adaptive rule."""
        edge = 1 - bit.probs.item()
        integrand = lambda u: slope(soft(u)) * soft(u) * (1 - soft(u)) / temperature  # noqa: E731
        return sum(quad(integrand, *ends, epsabs=1e-12)[0] for ends in ((0, edge), (edge, 1)))

    q, weights = over_quadrature(bit, 1)
    expected = torch.full((1, 1), mean(lambda s: one_bit_slope(round(s))), dtype=torch.float64)
    assert_mean(gradient(STGumbelSoftmax(temperature=temperature), q, one_bit), weights, expected, 1e-9)
    expected = torch.full((1, 1), mean(one_bit_slope), dtype=torch.float64)
    assert_mean(gradient(GumbelSoftmax(temperature=temperature), q, one_bit), weights, expected, 1e-9)


@pytest.mark.parametrize("estimator", [GumbelSoftmax(temperature=0.7), STGumbelSoftmax(temperature=0.7)])
def test_a_bit_is_a_category_of_two(estimator):
    logits, noise = torch.randn(50, 3, dtype=torch.float64), torch.randn(1, 50, 3, dtype=torch.float64)
    bits = injected(Bernoulli(logits.requires_grad_()), uniform=[noise.sigmoid()])
    pairs = torch.stack([logits.detach(), torch.zeros_like(logits)], -1).requires_grad_()
    categories = injected(Categorical(pairs), gumbel=[torch.stack([noise, torch.zeros_like(noise)], -1)])
    expected = gradient(estimator, categories, lambda z, q=None: three_bits(z[..., 0]))[..., 0]
    torch.testing.assert_close(gradient(estimator, bits, three_bits), expected, rtol=0, atol=1e-12)
