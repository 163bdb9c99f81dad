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


class Sampled:
    """one_bit(z) + log q(z) - log p(z), the logs linear in z; q is frozen unless it is handed in."""

    def __init__(self, q, prior=0.9):
        self.frozen, self.prior = q.detach(), Bernoulli(torch.tensor([[prior]], dtype=torch.float64))

    def __call__(self, z, q=None):
        return one_bit(z) + (self.frozen if q is None else q).log_prob(z) - self.prior.log_prob(z)


@pytest.mark.parametrize(("logit", "temperature"), [(0.4, 0.5), (-1.3, 1.0), (2.0, 2 / 3)])
def test_with_log_q_in_the_cost_it_is_the_gradient_of_the_mean_relaxed_cost(logit, temperature):
    """Central differences of the integral over u. With q frozen in log q it is another gradient."""

    def mean(logit, log_q=None):
        """E of the cost of soft at this logit, with log q at the other."""
        log_q, prior = logit if log_q is None else log_q, 0.9

        def integrand(u):
            soft = 1 / (1 + math.exp(-(logit + math.log(u / (1 - u))) / temperature))
            logs = [soft * at - math.log1p(math.exp(at)) for at in (log_q, prior)]
            return (soft - 0.3) ** 2 + math.exp(0.8 * soft) + logs[0] - logs[1]

        return sum(quad(integrand, *ends, epsabs=1e-13)[0] for ends in ((0, 0.5), (0.5, 1)))

    q, weights = over_quadrature(Bernoulli(torch.tensor([[logit]], dtype=torch.float64, requires_grad=True)), 1)
    estimator, cost = GumbelSoftmax(temperature=temperature), Sampled(q)
    expected = (mean(logit + 1e-4) - mean(logit - 1e-4)) / 2e-4
    found = gradient(estimator, q, cost)
    assert_mean(found, weights, torch.full((1, 1), expected, dtype=torch.float64), 1e-7)
    half_frozen = (mean(logit + 1e-4, logit) - mean(logit - 1e-4, logit)) / 2e-4
    assert abs(half_frozen / expected - 1) > 0.03
    frozen = gradient(estimator, q, lambda z, q=None: cost(z))
    assert_mean(frozen, weights, torch.full((1, 1), half_frozen, dtype=torch.float64), 1e-7)


def test_with_log_q_in_the_cost_a_bit_is_a_category_of_two():
    logits, noise = torch.randn(50, 1, dtype=torch.float64), torch.randn(1, 50, 1, dtype=torch.float64)
    bits = injected(Bernoulli(logits.requires_grad_()), uniform=[noise.sigmoid()])
    pairs = torch.stack([logits.detach(), torch.zeros_like(logits)], -1).requires_grad_()
    categories = injected(Categorical(pairs), gumbel=[torch.stack([noise, torch.zeros_like(noise)], -1)])

    def cost(z, q=None):
        q = categories.detach() if q is None else q
        return one_bit(z[..., 0]) + q.log_prob(z) + math.log(2)

    estimator = GumbelSoftmax(temperature=0.7)
    expected = gradient(estimator, bits, Sampled(bits, prior=0.0))
    torch.testing.assert_close(gradient(estimator, categories, cost)[..., 0], expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("estimator", [GumbelSoftmax(temperature=0.7), STGumbelSoftmax(temperature=0.7)])
def test_a_bit_is_a_category_of_two(estimator):
    logits, noise = torch.randn(50, 3, dtype=torch.float64), torch.randn(1, 50, 3, dtype=torch.float64)
    bits = injected(Bernoulli(logits.requires_grad_()), uniform=[noise.sigmoid()])
    pairs = torch.stack([logits.detach(), torch.zeros_like(logits)], -1).requires_grad_()
    categories = injected(Categorical(pairs), gumbel=[torch.stack([noise, torch.zeros_like(noise)], -1)])
    expected = gradient(estimator, categories, lambda z, q=None: three_bits(z[..., 0]))[..., 0]
    torch.testing.assert_close(gradient(estimator, bits, three_bits), expected, rtol=0, atol=1e-12)
