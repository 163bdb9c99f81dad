"""DisARM: exact mean and variance over the noise; on one bit, those of straight-through beside them."""

import itertools

import pytest
import torch

from estimators import Bernoulli
from estimators.disarm import Disarm
from estimators.straight_through import StraightThrough
from tests.support.discrete import GRADIENT, THREE_BITS, assert_mean, moments, over_samples, three_bits
from tests.support.injection import gradient, injected, replicated


def over_uniform(q, pairs):
    """q replicated over all regions of `pairs` uniform draws in which antithetic bits are constant, and the weights.

    The bits of u and 1 - u change at u = p and u = 1 - p only.
    """
    p = q.probs.detach().flatten()
    edges = torch.stack([p * 0, torch.minimum(p, 1 - p), torch.maximum(p, 1 - p), p * 0 + 1])  # [4, D]
    middles, widths = (edges[1:] + edges[:-1]) / 2, edges.diff(dim=0)  # [3, D]
    coordinates = list(range(len(p))) * pairs
    cells = torch.tensor(list(itertools.product(range(3), repeat=len(coordinates))))  # [R, pairs * D]
    u = middles[cells, coordinates].view(-1, pairs, 1, len(p)).transpose(0, 1)  # [pairs, R, 1, D]
    return injected(replicated(q, len(cells)), uniform=[u]), widths[cells, coordinates].prod(1)


class LostHalf(Disarm):
    def forward(self, q, cost, x):
        estimate = super().forward(q, cost, x)
        return estimate._replace(loss=2 * estimate.loss)


@pytest.mark.parametrize("k", [2, 4])
def test_disarm_three_bits(k):
    q, weights = over_uniform(Bernoulli(THREE_BITS), k // 2)
    gradients = gradient(Disarm(k=k), q, three_bits)
    assert_mean(gradients, weights, GRADIENT)
    assert moments(gradients, weights)[1] == pytest.approx(0.7575449097 * 2 / k, abs=1e-9)
    with pytest.raises(AssertionError):
        assert_mean(gradient(LostHalf(k=k), q, three_bits), weights, GRADIENT)


@pytest.mark.parametrize(("logit", "t"), [(0.4, 0.45), (-1.3, 0.8), (2.0, -0.3), (0.0, 0.2)])
def test_one_bit(logit, t):
    bit = Bernoulli(torch.tensor([[logit]], dtype=torch.float64))
    p, gap = bit.probs.item(), 1 - 2 * t
    v, exact = p * (1 - p), torch.tensor([[p * (1 - p) * gap]], dtype=torch.float64)

    def cost(b, q=None):
        return ((b - t) ** 2).sum(-1)

    q, weights = over_uniform(bit, 1)
    gradients = gradient(Disarm(), q, cost)
    assert_mean(gradients, weights, exact)
    assert moments(gradients, weights)[1] == pytest.approx(gap**2 * v * (max(p, 1 - p) / 2 - v), abs=1e-14)

    q, weights = over_samples(bit)
    gradients = gradient(StraightThrough(), q, cost)
    assert_mean(gradients, weights, exact * 0 + 2 * (p - t) * v)
    assert moments(gradients, weights)[1] == pytest.approx(4 * v**3, abs=1e-14)
    if logit != 0:  # at p = 1/2 the two means agree
        with pytest.raises(AssertionError):
            assert_mean(gradients, weights, exact)
