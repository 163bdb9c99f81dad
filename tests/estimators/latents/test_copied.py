"""Copies of one policy, which share its table, against as many policies that know nothing of each other."""

import math

import mpmath
import pytest
import torch

import bench
import bench.problems.tokens
from bench.measure.gradient.rows import measure
from bench.model.objective import Objective
from bench.problems import problem
from estimators import Sequence
from estimators.latents import copied, sequence
from tests.support.sequences import SIZES, policy

COPIES = [(5, 2), (5, 3, 2)]  # and the batch shape of the original


def twins(vocabulary, length, batch, params=None):
    """Copies that know their original, and as many policies with the same parameters, both at a leaf."""
    one = policy(vocabulary, length, batch[1:]) if params is None else Sequence(params)
    leaves = [one.params.expand(*batch, *one.params.shape[-2:]).clone().requires_grad_() for _ in range(2)]
    copies, others = map(one.with_params, leaves)
    copies.original = one
    return copies, others


def seeded(q, k):
    torch.manual_seed(2)
    return q.sample(k)


@pytest.mark.parametrize(("vocabulary", "length"), SIZES)
@pytest.mark.parametrize("batch", COPIES)
def test_they_draw_what_as_many_policies_draw(vocabulary, length, batch):
    copies, others = twins(vocabulary, length, batch)
    found, wanted = seeded(copies, 40), seeded(others, 40)
    torch.testing.assert_close(found, wanted, rtol=0, atol=0)
    assert found.stride() == wanted.stride()  # sums over it add in the same order
    copies.original = policy(vocabulary, length, batch[1:], seed=1, scale=3.0)
    assert not torch.equal(seeded(copies, 40), wanted)


@pytest.mark.parametrize("size", [2, 5, 16, 27])
def test_noise_on_a_bound_belongs_to_what_follows(size):
    """Ties, and chances of 0, as `searchsorted` counts them."""
    chances = torch.arange(size).double() % 3
    cumulative = chances.cumsum(0)[None] / chances.sum()
    noise = torch.cat([torch.zeros(1).double(), cumulative[0, cumulative[0] < 1], torch.rand(50).double()])
    bounds = torch.nn.functional.pad(cumulative[:, :-1], (0, 33 - size), value=math.inf)
    wanted = torch.searchsorted(cumulative, noise[None], right=True)
    torch.testing.assert_close(copied.drawn(bounds, noise[None]), wanted, rtol=0, atol=0)


@pytest.mark.parametrize(("vocabulary", "length"), SIZES)
@pytest.mark.parametrize("batch", COPIES)
@pytest.mark.parametrize("kind", ["usual", "near 1", "ruled out"])
def test_log_prob_and_its_gradient_are_those_of_as_many_policies(vocabulary, length, batch, kind):
    params = policy(vocabulary, length, batch[1:]).params * (200 if kind == "near 1" else 1)
    if kind == "ruled out":
        params[0, ..., 0, 0], params[0, ..., -1, :2] = -math.inf, math.inf
    pair = twins(vocabulary, length, batch, params)
    every = torch.cat([seeded(pair[0], 30), pair[0].enumerate().expand(-1, *batch, length)])
    log_q = [q.log_prob(every) for q in pair]
    torch.testing.assert_close(*log_q, rtol=1e-13, atol=0)
    weights = torch.randn(log_q[0].shape, dtype=torch.float64)
    found, wanted = (
        torch.autograd.grad((each.exp() * w + weights * each.clamp(min=-1e6)).sum(), q.params)[0]
        for each, q, w in zip(log_q, pair, (weights, weights), strict=True)
    )
    torch.testing.assert_close(found, wanted, rtol=1e-12, atol=1e-12)
    assert found.any()
    (other,) = torch.autograd.grad(pair[1].log_prob(every).clamp(min=-1e6).sum(), pair[1].params)
    assert (found - other).abs().max() > 1e-6
    assert pair[0].log_prob(every[:, :1]).shape == log_q[0].shape  # a point that all copies share


@pytest.mark.parametrize("logit", [20.5, 40.0, 300.0])
def test_gradients_near_1_keep_their_digits(logit):
    """Two draws of the likely token, one of them weighed by -1 / 4: the gradient is 3/4 of 1 - p and of -p."""
    copies, _ = twins(2, 1, (2, 1), torch.tensor([[[0.0, logit]]]).double())
    loss = (torch.tensor([1.0, -0.25])[:, None, None] * copies.log_prob(torch.ones(2, 2, 1, 1, dtype=torch.long))).sum()
    (found,) = torch.autograd.grad(loss, copies.params)
    rest = float(0.75 / (1 + mpmath.exp(logit)))
    assert found.flatten().tolist() == pytest.approx([-rest, rest] * 2, rel=1e-14, abs=0)


def test_second_derivatives():
    found, wanted = [], []
    for q, into in zip(twins(3, 2, (4, 2)), (found, wanted), strict=True):
        z = seeded(q, 6)
        (slope,) = torch.autograd.grad(q.log_prob(z).exp().sum(), q.params, create_graph=True)
        into += [slope.detach(), *torch.autograd.grad(slope.square().sum(), q.params)]
    assert wanted[1].any()
    torch.testing.assert_close(found, wanted, rtol=1e-12, atol=1e-14)


class Alone(Sequence):
    """A policy that takes no notice of its original."""

    original = property(lambda self: None, lambda self, value: None)


@pytest.mark.parametrize(
    ("name", "kl"), [("rloo", "analytic"), ("grpo", "sampled"), ("vimco", "sampled"), ("reinforce", "k3_loss")]
)
def test_measured_gradients_are_the_same(monkeypatch, name, kl):
    """And one table serves all chunks of all draws."""
    tables = []
    monkeypatch.setattr(sequence, "table_of", lambda q: tables.append(q) or copied.table_of(q))

    def measured(seed=3):
        made = problem("tokens", vocabulary=3, length=2, prompts=5, policy="own", spread=2.0)
        objective = Objective(made, bench.estimator(name, k=4), kl, 0.0 if kl == "analytic" else 1.0)
        return measure(objective, torch.arange(5.0).double()[None, :, None], 70, seed=seed, memory=0.01)

    found, made = measured(), len(tables)
    assert made == 1
    other = measured(seed=4)
    monkeypatch.setattr(bench.problems.tokens, "Sequence", Alone)
    tables.clear()
    for row, its, wrong in zip(found, measured(), other, strict=True):
        assert row.keys() == its.keys()
        assert [v for v in row.values() if isinstance(v, str)] == [v for v in its.values() if isinstance(v, str)]
        for key, value in row.items():
            assert not isinstance(value, float) or value == pytest.approx(its[key], rel=1e-10, nan_ok=True), key
        assert row["variance_noise"] != pytest.approx(wrong["variance_noise"], rel=1e-4)
    assert not tables
