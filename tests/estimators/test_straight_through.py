"""Straight-through: where it is exact, and the Jacobians it puts in the place of the sample's."""

import pytest
import torch

from estimators import Bernoulli
from estimators.straight_through import StraightThrough
from tests.support.discrete import assert_mean, cost_of, exact_gradient, make, over_samples, three_bits
from tests.support.injection import gradient, injected


@pytest.mark.parametrize("family", ["bernoulli", "categorical", "vq"])
def test_straight_through_is_exact_for_linear_costs_only(family):
    bare = make(family, (1,))
    q, weights = over_samples(bare)
    slope = torch.randn_like(bare.logits)
    axes = tuple(range(-q.event_ndim, 0))

    def linear(z, q=None):
        return (z * slope).sum(axes) + 3

    assert_mean(gradient(StraightThrough(), q, linear), weights, exact_gradient(bare, linear))
    cost = cost_of(bare)
    with pytest.raises(AssertionError):
        assert_mean(gradient(StraightThrough(), q, cost), weights, exact_gradient(bare, cost))


@pytest.mark.parametrize("temperature", [1.0, 0.5])
def test_straight_through_jacobians(temperature):
    logits = torch.tensor([[0.3, -0.7, 1.1]], dtype=torch.float64, requires_grad=True)
    z = torch.tensor([[[1.0, 1.0, 0.0]]], dtype=torch.float64, requires_grad=True)
    slope = torch.autograd.grad(three_bits(z).sum(), z)[0][0]
    a = logits.detach() / temperature
    p = a.sigmoid()
    expected = {"probs": p * (1 - p), "identity": 1, "clipped": (a.abs() <= 1).double()}
    q = injected(Bernoulli(logits), sample=[z.detach()])
    for jacobian, factor in expected.items():
        estimator = StraightThrough(jacobian=jacobian, temperature=temperature)
        torch.testing.assert_close(gradient(estimator, q, three_bits), slope * factor / temperature, rtol=0, atol=1e-12)


def test_clipping_is_for_bits():
    assert "set jacobian=probs or identity" in StraightThrough(jacobian="clipped").refuses(make("vq", (1,)))
    assert StraightThrough(jacobian="clipped").refuses(make("bernoulli", (1,))) is None
