"""DisARM for categories: exact means over the cells of the noise in which the pair of samples does not change."""

import itertools

import pytest
import torch

from estimators import Bernoulli, Categorical, disarm_categorical
from estimators.disarm import Disarm
from estimators.disarm_categorical import DisarmIW, DisarmTree
from tests.costs import Nonlinear, SampledKL, small_latents
from tests.enumerate import assert_pure, z_scores
from tests.test_arsm import X, assert_exact, injected


def over_sticks(q, cost):
    """Uniform noise of the C - 1 sticks of each coordinate: the pair changes at u = stop and u = 1 - stop only."""
    p = q.probs.detach()[0].sort(-1).values  # [D, C]
    stop = (p / p.flip(-1).cumsum(-1).flip(-1))[:, :-1].flatten()
    edges = torch.stack([stop * 0, stop, 1 - stop, stop * 0 + 1])
    cells = torch.tensor(list(itertools.product(range(3), repeat=len(stop))))  # [J, D (C - 1)]
    each = torch.arange(len(stop))
    u = ((edges[1:] + edges[:-1]) / 2)[cells, each].view(len(cells), len(p), -1)
    gumbel = torch.nn.functional.pad(-(-u.log()).log(), (0, 1))
    return injected(q, gumbel[None, :, None], edges.diff(dim=0)[cells, each].prod(1), cost)


@pytest.mark.parametrize("family", ["categorical", "vq"])
def test_disarm_iw_exact_mean(family, monkeypatch):
    q, cost = small_latents()[family]
    q = q.with_params(q.params[:1])
    for c in (cost, SampledKL(cost, q)):
        moments = over_sticks(q, c)
        assert_exact(moments(DisarmIW()), q, c)
    assert_exact(moments(DisarmIW(k=4)), q, c)
    monkeypatch.setattr(disarm_categorical, "coupling_weights", lambda stop: torch.ones(3, dtype=stop.dtype))
    with pytest.raises(AssertionError, match="not close"):
        assert_exact(moments(DisarmIW()), q, c)


def test_disarm_iw_of_four_categories():
    q = Categorical(torch.tensor([[[0.5, -1.0, 0.5, 2.0]]], dtype=torch.float64))
    w = torch.nn.Parameter(torch.tensor(0.7, dtype=torch.float64))
    cost = lambda z, q=None: ((z @ torch.tensor([1.0, -2, 3, 0.5], dtype=z.dtype))[..., 0] - w) ** 2  # noqa: E731
    cost.parameters = lambda: [w]
    assert_exact(over_sticks(q, cost)(DisarmIW()), q, cost)


def test_disarm_iw_of_two_categories_is_disarm():
    logits, noise = torch.randn(5, 3, dtype=torch.float64), torch.rand(2, 5, 3, dtype=torch.float64)
    q = Categorical(torch.stack([torch.zeros_like(logits), logits], -1).requires_grad_())
    q.gumbel = lambda k: torch.stack([-(-noise.log()).log(), noise], -1)
    bits = Bernoulli(logits.clone().requires_grad_())
    bits.uniform = lambda k: torch.where(logits < 0, 1 - noise, noise)  # the stick breaks at the rarer of the two
    cost = Nonlinear()
    (expected,) = torch.autograd.grad(Disarm(k=4)(bits, cost, X).loss.sum(), bits.params)
    (got,) = torch.autograd.grad(DisarmIW(k=4)(q, lambda z, q=None: cost(z[..., 1]), X).loss.sum(), q.params)
    torch.testing.assert_close(got, torch.stack([-expected, expected], -1), rtol=0, atol=1e-12)


