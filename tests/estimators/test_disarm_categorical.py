"""DisARM for categories: exact means over the cells of the noise in which the pair of samples does not change."""

import itertools

import pytest
import torch

from estimators import Bernoulli, Categorical, disarm_iw
from estimators.arsm import Arsm
from estimators.disarm import Disarm
from estimators.disarm_iw import DisarmIW
from estimators.disarm_tree import DisarmTree, branches
from tests.support.categorical import X, assert_exact, injected
from tests.support.costs import Nonlinear, SampledKL, small_latents
from tests.support.enumerate import assert_pure, z_scores


def over_cells(q, cost, p):
    """All cells of the noise of bits of probabilities p `[D, C - 1]`, which change at u = p and 1 - p only."""
    p = p.flatten()
    edges = torch.stack([p * 0, torch.minimum(p, 1 - p), torch.maximum(p, 1 - p), p * 0 + 1])
    cells = torch.tensor(list(itertools.product(range(3), repeat=len(p))))  # [J, D (C - 1)]
    each = torch.arange(len(p))
    u = ((edges[1:] + edges[:-1]) / 2)[cells, each].view(len(cells), q.logits.shape[-2], -1)
    gumbel = torch.nn.functional.pad(-(-u.log()).log(), (0, 1))[None, :, None]  # [1, J, 1, D, C]
    return gumbel, edges.diff(dim=0)[cells, each].prod(1)


def stops(q):
    """Probability of each category among those left, in rising order."""
    p = q.probs.detach()[0].sort(-1).values  # [D, C]
    return (p / p.flip(-1).cumsum(-1).flip(-1))[:, :-1]


def turns(q):
    """Probability of turning left at each node of the tree."""
    p = q.probs.detach()[0]
    left, right = (side.double() for side in branches(p.shape[-1], p.device))
    return p @ left.T / (p @ (left + right).T)


def over_noise(estimator, q, cost):
    return injected(q, *over_cells(q, cost, stops(q) if isinstance(estimator, DisarmIW) else turns(q)), cost)(estimator)


class EveryBit(DisarmTree):
    """DisARM of all bits of all trees, whether a path meets them or not."""

    seen = staticmethod(lambda b, antithetic, nodes, upper, lower: (b - antithetic) * nodes.logits.abs().sigmoid())


class MetByBoth(DisarmTree):
    """Planted error: what only one of the paths meets is left out."""

    seen = staticmethod(lambda b, antithetic, p, upper, lower: upper * lower * EveryBit.seen(b, antithetic, p, 1, 1))


ESTIMATORS = [DisarmIW, DisarmTree]


@pytest.mark.parametrize("family", ["categorical", "vq"])
@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_exact_mean(family, estimator, monkeypatch):
    q, cost = small_latents()[family]
    q = q.with_params(q.params[:1])
    for c in (cost, SampledKL(cost, q)):
        assert_exact(over_noise(estimator(), q, c), q, c)
    assert_exact(over_noise(estimator(k=4), q, c), q, c)
    monkeypatch.setattr(disarm_iw, "coupling_weights", lambda stop: torch.ones(3, dtype=stop.dtype))
    with pytest.raises(AssertionError, match="not close"):
        assert_exact(over_noise(MetByBoth() if estimator is DisarmTree else DisarmIW(), q, c), q, c)


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_four_categories(estimator):
    q = Categorical(torch.tensor([[[0.5, -1.0, 0.5, 2.0]]], dtype=torch.float64))
    w = torch.nn.Parameter(torch.tensor(0.7, dtype=torch.float64))
    cost = lambda z, q=None: ((z @ torch.tensor([1.0, -2, 3, 0.5], dtype=z.dtype))[..., 0] - w) ** 2  # noqa: E731
    cost.parameters = lambda: [w]
    assert_exact(over_noise(estimator(), q, cost), q, cost)


def test_a_tree_is_the_expectation_of_all_its_bits_given_the_samples():
    q, cost = small_latents()["categorical"]
    q, found = q.with_params(q.params[:1]), []
    gumbel, weights = over_cells(q, cost, turns(q))
    replicas = q.with_params(q.params.expand(len(weights), *q.params.shape).clone().requires_grad_())
    replicas.gumbel = lambda k: gumbel
    for estimator in (DisarmTree(), EveryBit()):
        seen = []
        loss = estimator(replicas, lambda z, q=None, seen=seen: seen.append(z) or cost(z), X[:1]).loss.sum()
        found.append(torch.autograd.grad(loss, replicas.params)[0].flatten(1))  # [J, D C]
    _, group = seen[0].movedim(1, 0).flatten(1).unique(dim=0, return_inverse=True)
    mine, every = (torch.zeros_like(f).index_add(0, group, weights[:, None] * f) for f in found)
    torch.testing.assert_close(mine, every, rtol=0, atol=1e-13)
    expected = mine[group] / torch.zeros_like(weights).index_add(0, group, weights)[group, None]
    torch.testing.assert_close(found[0], expected, rtol=0, atol=1e-10)  # a function of the samples alone
    assert (found[0] - found[1]).abs().max() > 0.1


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_two_categories_are_bits(estimator):
    logits, noise = torch.randn(5, 3, dtype=torch.float64), torch.rand(2, 5, 3, dtype=torch.float64)
    q = Categorical(torch.stack([logits, torch.zeros_like(logits)], -1).requires_grad_())
    q.gumbel = lambda k: torch.stack([-(-noise.log()).log(), noise], -1)
    bits = Bernoulli(logits.clone().requires_grad_())
    mirrored = logits < 0 if estimator is DisarmIW else torch.tensor(True)  # the stick breaks at the rarer of the two
    bits.uniform = lambda k: torch.where(mirrored, 1 - noise, noise)
    cost = Nonlinear()
    (expected,) = torch.autograd.grad(Disarm(k=4)(bits, cost, X).loss.sum(), bits.params)
    (got,) = torch.autograd.grad(estimator(k=4)(q, lambda z, q=None: cost(z[..., 0]), X).loss.sum(), q.params)
    torch.testing.assert_close(got, torch.stack([expected, -expected], -1), rtol=0, atol=1e-12)


# A bias of 0.01 in any coordinate would show as |z| > 4.5 over 200,000 draws.
@pytest.mark.parametrize("family", ["categorical", "vq"])
@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_unbiased_with_its_own_noise(family, estimator):
    q, cost = small_latents()[family]
    assert z_scores(estimator(), q, cost, X).abs().max() < 4.5
    assert_pure(estimator(), q, cost, X)


@pytest.mark.parametrize("categories", [2, 3, 5, 8])
def test_branches(categories):
    left, right = branches(categories, torch.device("cpu"))
    assert not (left & right).any()
    assert (left.any(1) & right.any(1)).all()
    depth = (left | right).sum(0)
    assert depth.max() - depth.min() <= 1
    assert (0.5**depth).sum() == 1  # every path ends in one category


def test_equal_and_certain_probabilities_stay_finite():
    for logits in (torch.zeros(2, 3, 4), torch.tensor([0.0, 0.0, 0.0, 200.0]).expand(2, 3, 4), torch.zeros(2, 3, 2)):
        for estimator in (DisarmIW(k=8), DisarmTree(k=8), Arsm(k=8)):
            q = Categorical(logits.clone().requires_grad_())
            loss = estimator(q, lambda z, q=None: z[..., 0].sum(-1) ** 2, X.float()).loss.sum()
            assert torch.autograd.grad(loss, q.params)[0].isfinite().all()


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_refusals(estimator):
    with pytest.raises(ValueError, match="even k >= 2; got k=3"):
        estimator(k=3)
    assert "made for categorical, vq" in estimator().refuses(small_latents()["bernoulli"][0])
