"""Sampling joint states without replacement, and what a set says about the order it was drawn in."""

import math
from itertools import permutations

import numpy as np
import pytest
import torch
from scipy import stats

from estimators import Categorical, without_replacement
from estimators.without_replacement import joint_log_probs, most_probable, order, remainder
from tests.support.ordered import ordered_samples


def test_the_set_of_a_spread_posterior_is_leave_one_out():
    q = Categorical(0.1 * torch.randn(4, 40, 10, dtype=torch.float64).requires_grad_())
    z = without_replacement.without_replacement(q, 5)
    first, second = order(joint_log_probs(q, z), remainder(joint_log_probs(q, z)))
    torch.testing.assert_close(first, torch.full_like(first, 1 / 5), rtol=0, atol=1e-12)
    torch.testing.assert_close(second, torch.full_like(second, 1 / 4), rtol=0, atol=1e-12)


@pytest.mark.parametrize("k", [1, 2, 3, 5])
@pytest.mark.parametrize("sharpness", [0.5, 2.0, 30.0])
def test_order(k, sharpness):
    log_p = torch.log_softmax(sharpness * torch.randn(7, dtype=torch.float64), 0)
    p = log_p.exp()
    for chosen in ([*range(k)], log_p.argsort(descending=True)[:k].tolist()):
        of_order = {}
        for o in permutations(chosen):
            left = [p[[j for j in range(7) if j not in o[:i]]].sum() for i in range(k)]
            of_order[o] = math.prod((p[s] / r).item() for s, r in zip(o, left, strict=True))
        rest = p[[j for j in range(7) if j not in chosen]].sum()
        torch.testing.assert_close(remainder(log_p[chosen]), rest, rtol=0, atol=1e-15)
        first, second = order(log_p[chosen], rest)
        total = sum(of_order.values())
        for i, s in enumerate(chosen):
            starting = sum(w for o, w in of_order.items() if o[0] == s)
            assert first[i].item() == pytest.approx(starting / total, rel=1e-10, abs=1e-300)
            for j, t in enumerate([t for t in chosen if t != s]):
                then = sum(w for o, w in of_order.items() if o[:2] == (s, t))
                assert second[i, j].item() == pytest.approx(then / starting, rel=1e-10, abs=1e-300)


def fit(q, sampler, k, draws=200_000):
    """p-value of a chi-squared test of the distribution of ordered samples."""
    z = sampler(q.with_params(q.params.detach().expand(draws, *q.params.shape)), k)  # [k, draws, 1, D, C]
    size, categories = q.logits.shape[-2:]
    number = (z.argmax(-1) * categories ** torch.arange(size)).sum(-1).squeeze(-1).T  # [draws, k]
    index, weights = ordered_samples(q, k)
    code = lambda n: n @ q.states ** torch.arange(k)  # noqa: E731
    counts = torch.bincount(code(number), minlength=q.states**k)
    assert counts.sum() == counts[code(index)].sum()  # no state twice
    observed, expected = counts[code(index)].numpy(), draws * weights.numpy()
    rare = expected < 5
    observed, expected = (np.append(n[~rare], n[rare].sum() + 1e-9) for n in (observed, expected))
    return stats.chisquare(observed, expected * observed.sum() / expected.sum()).pvalue


@pytest.mark.parametrize(("shape", "k"), [((1, 6), 3), ((2, 3), 2), ((3, 2), 3)])
def test_distribution_of_ordered_samples(shape, k, monkeypatch):
    q = Categorical(torch.randn(1, *shape, dtype=torch.float64))
    assert fit(q, without_replacement.without_replacement, k) > 1e-3
    if shape[0] > 1:  # planted error: the value of a prefix is forgotten
        monkeypatch.setattr(without_replacement, "with_maximum", lambda values, maximum: values)
        assert fit(q, without_replacement.without_replacement, k) < 1e-9


def test_one_coordinate_is_gumbel_top_k():
    q = Categorical(torch.randn(4, 1, 8, dtype=torch.float64))
    noise = q.gumbel(5)
    q.gumbel = lambda k: noise
    expected = (q.log_probs + noise[0]).squeeze(-2).topk(5, -1).indices.T  # [K, B]
    assert torch.equal(without_replacement.without_replacement(q, 5).argmax(-1).squeeze(-1), expected)


def test_most_probable():
    q = Categorical(torch.randn(3, 5, 4, 3, dtype=torch.float64))
    everything = q.log_prob(q.enumerate().expand(-1, *q.logits.shape))
    for k in (1, 7, 81):
        top = most_probable(q, k)
        torch.testing.assert_close(q.log_prob(top), everything.topk(k, 0).values, rtol=0, atol=1e-12)
