"""Logits of -inf: a category that cannot be leaves everything else as it is without it; and a choice of one."""

import math

import pytest
import torch

from estimators import Categorical
from estimators.arsm import Arsm
from estimators.carms import Carms
from estimators.disarm_iw import DisarmIW
from estimators.disarm_tree import DisarmTree
from estimators.group_relative import GroupRelative
from estimators.mve import MVE
from estimators.reinmax import Reinmax
from estimators.rloo import RLOO
from estimators.straight_through import StraightThrough
from tests.support.injection import injected

ESTIMATORS = [
    RLOO(3),
    *(GroupRelative(3, scale) for scale in ("none", "std", "mean")),
    Carms(3),
    MVE(3),
    MVE(3, 1e9),
    Reinmax(3),
    StraightThrough(3),
]
REST = [0, 2, 3]  # of four categories


def pair(dtype=torch.float64):
    """q `[30, 2]` of two coordinates whose category 1 is impossible, and the same without it, on the same noise."""
    generator = torch.Generator().manual_seed(2)
    logits = torch.randn(30, 2, 2, 4, dtype=dtype, generator=generator)
    logits[..., 1] = -torch.inf
    noise = torch.rand(3, *logits.shape, dtype=dtype, generator=generator).log().neg().log().neg()
    whole = injected(Categorical(logits.clone().requires_grad_()), gumbel=[noise])
    rest = injected(Categorical(logits[..., REST].clone().requires_grad_()), gumbel=[noise[..., REST]])
    return whole, rest


def cost(z, q=None):
    """Minus a reward in (0, 1) in which the coordinates interact; of four categories, or of the three."""
    values = torch.tensor([0.3, 9.0, -1.0, 0.6], dtype=z.dtype)
    y = z @ (values if z.shape[-1] == 4 else values[REST])
    return -torch.sigmoid(y[..., 0] - 2 * y[..., 1] + y.prod(-1))


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=lambda e: f"{e.name}-{getattr(e, 'scale', '')}")
def test_estimates_are_those_without_the_category(estimator):
    whole, rest = pair()
    if isinstance(estimator, Carms):  # sorted to the front, where it never stops: its noise comes first
        (noise,) = (n.gumbel(3) for n in [whole])
        rest = injected(rest, gumbel=[noise[..., 1:]])
    estimates = [estimator(q, cost, None) for q in (whole, rest)]
    got, expected = (
        torch.autograd.grad(e.loss.sum(), q.params)[0] for e, q in zip(estimates, (whole, rest), strict=True)
    )
    assert estimates[0].loss.isfinite().all()
    assert not got[..., 1].any()
    assert expected.abs().max() > 0.01
    torch.testing.assert_close(got[..., REST], expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_divergence_and_log_probabilities(dtype):
    whole, rest = pair(dtype)
    z = whole.sample(3)
    uniform = whole.kl(Categorical(torch.tensor([0.0, -5.0, 0.0, 0.0], dtype=dtype)))
    expected = rest.kl(Categorical(torch.tensor([0.0, -5.0, 0.0, 0.0], dtype=dtype).log_softmax(0)[REST]))
    shift = torch.tensor([0.0, -5.0, 0.0, 0.0], dtype=dtype).log_softmax(0)[REST].logsumexp(0)
    torch.testing.assert_close(uniform, expected - 2 * shift)  # two coordinates
    torch.testing.assert_close(whole.log_prob(z), rest.log_prob(z[..., REST]))
    for value, other in [(uniform, expected), (whole.log_prob(z), rest.log_prob(z[..., REST]))]:
        slope, smaller = (torch.autograd.grad(v.sum(), q.params)[0] for v, q in ((value, whole), (other, rest)))
        assert not slope[..., 1].any()
        torch.testing.assert_close(slope[..., REST], smaller, rtol=1e-5, atol=1e-6)


def test_a_state_that_needs_it_is_as_good_as_impossible():
    q, _ = pair()
    z = torch.zeros(1, 30, 2, 2, 4, dtype=torch.float64)
    z[..., 1] = 1
    assert (q.log_prob(z) < -1e300).all()


@pytest.mark.parametrize("estimator", [*ESTIMATORS, DisarmIW(), DisarmTree(), Arsm()], ids=lambda e: e.name)
def test_where_there_is_one_category_there_is_nothing_to_learn(estimator):
    q = Categorical(torch.randn(3, 2, 1, dtype=torch.float64).requires_grad_())
    estimate = estimator(q, lambda z, q=None: z.flatten(-2).sum(-1) ** 2 + z[..., 0, 0].exp(), None)
    assert torch.autograd.grad(estimate.loss.sum(), q.params)[0].abs().max() < 1e-12
    torch.testing.assert_close(estimate.cost, torch.full((3,), 4 + math.e, dtype=torch.float64))
