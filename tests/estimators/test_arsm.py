"""ARSM: exact means for two categories, whose noise falls into cells; z-tests for more."""

import itertools

import numpy as np
import pytest
import torch

from estimators import Categorical, arsm
from estimators.arsm import Arsm
from tests.support.categorical import X, assert_exact, injected
from tests.support.costs import Nonlinear, small_latents
from tests.support.enumerate import assert_pure, z_scores


def over_shares(q, cost):
    """Two categories: shares (u, 1 - u), whose samples change at u = p and 1 - p; the estimate is linear between."""
    x, w = (torch.from_numpy(a) / 2 for a in np.polynomial.legendre.leggauss(2))
    axes = []
    for p in q.probs[0, :, 0].tolist():
        edges = [0, min(p, 1 - p), max(p, 1 - p), 1]
        pieces = itertools.pairwise(edges)
        axes.append([(a + (b - a) * (n + 0.5), (b - a) * v) for a, b in pieces for n, v in zip(x, w, strict=True)])
    cells = torch.tensor(list(itertools.product(*axes)), dtype=torch.float64)  # [J, D, 2]
    share = torch.stack([cells[..., 0], 1 - cells[..., 0]], -1)
    return injected(q, -share.log()[None, :, None], cells[..., 1].prod(1), cost)


def pairs_of_two():
    logits = torch.tensor([[[0.3, -0.7], [1.1, 2.0]]], dtype=torch.float64)
    return Categorical(logits), Nonlinear((0.8, -0.5))


def test_arsm_of_two_categories():
    q, cost = pairs_of_two()
    numbers = lambda z, q=None: cost(z[..., 1])  # noqa: E731
    numbers.parameters = cost.parameters
    moments = over_shares(q, numbers)
    assert_exact(moments(Arsm()), q, numbers)
    assert_exact(moments(Arsm(k=2)), q, numbers)
    with pytest.raises(AssertionError, match="not close"):
        assert_exact(moments(WrongShare()), q, numbers)


class WrongShare(Arsm):
    """Planted error: the noise is a share of a sum of its own, twice as large."""

    def forward(self, q, cost, x):
        estimate = super().forward(q, cost, x)
        return estimate._replace(loss=2 * estimate.loss - estimate.cost)


def test_arsm_of_two_categories_is_arm():
    logits, u = torch.randn(5, 3, dtype=torch.float64), torch.rand(5, 3, dtype=torch.float64)
    q = Categorical(torch.stack([torch.zeros_like(logits), logits], -1).requires_grad_())
    q.gumbel = lambda k: -torch.stack([u, 1 - u], -1).log()[None]
    cost = Nonlinear()
    loss = Arsm()(q, lambda z, q=None: cost(z[..., 1]), X).loss.sum()
    off = torch.sigmoid(-logits)
    b, antithetic = (u > off).double(), (1 - u > off).double()
    arm = (cost(b) - cost(antithetic)).detach()[:, None] * (u - 0.5)
    gradient = torch.autograd.grad(loss, q.params)[0]
    torch.testing.assert_close(gradient, torch.stack([-arm, arm], -1), rtol=0, atol=1e-12)


# A bias of 0.01 in any coordinate would show as |z| > 4.5 over 200,000 draws.
@pytest.mark.parametrize("family", ["categorical", "vq"])
def test_unbiased(family, monkeypatch):
    q, cost = small_latents()[family]
    assert z_scores(Arsm(), q, cost, X).abs().max() < 4.5
    assert_pure(Arsm(), q, cost, X)
    order, number = arsm.swaps(3, q.params.device)  # planted error: a category swapped with itself is another pair
    monkeypatch.setattr(arsm, "swaps", lambda categories, device: (order, number.clamp(min=1)))
    assert z_scores(Arsm(), q, cost, X).abs().max() > 4.5


@pytest.mark.parametrize("shift", [0.0, 7.0])
def test_arsm_evaluates_every_pair_once_and_ignores_constants(shift):
    q, seen = Categorical(torch.randn(4, 3, 5, dtype=torch.float64).requires_grad_()), []
    noise = q.gumbel(1)
    q.gumbel = lambda k: noise
    weight = torch.randn(3, 5, dtype=torch.float64)

    def cost(z, q=None):
        seen.append(z)
        return (z * weight).sum((-2, -1)) ** 2 + shift

    gradient = torch.autograd.grad(Arsm()(q, cost, X).loss.sum(), q.params)[0]
    assert sum(len(z) for z in seen) == 5 * 4 // 2 + 1
    z, share, expected = q.harden(q.logits.detach() + noise), torch.softmax(-noise[0], -1), torch.zeros_like(gradient)
    costs = torch.zeros(5, 5, 4, dtype=torch.float64)
    for c, j in itertools.product(range(5), repeat=2):
        moved = noise.clone()
        moved[..., c], moved[..., j] = noise[..., j], noise[..., c]
        costs[c, j] = (q.harden(q.logits.detach() + moved) * weight).sum((-2, -1))[0] ** 2
    assert torch.equal(seen[0], z)
    for c, j in itertools.product(range(5), repeat=2):
        expected[..., c] += (costs[c, j] - costs[:, j].mean(0))[:, None] * (1 / 5 - share[..., j])
    torch.testing.assert_close(gradient, expected, rtol=0, atol=1e-11)


def test_refusals():
    with pytest.raises(ValueError, match="k >= 1; got k=0"):
        Arsm(k=0)
    assert "made for categorical, vq" in Arsm().refuses(small_latents()["bernoulli"][0])
