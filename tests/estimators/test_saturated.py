"""Estimators where a bit or a category is nearly certain: cost 100 + z, whose exact gradient is p (1 - p)."""

import math
from itertools import count

import mpmath
import pytest
import torch

import bench
from estimators import Bernoulli, Categorical
from estimators.arms import decorrelation
from estimators.disarm_tree import DisarmTree, antithetic_bits
from estimators.exact import Exact
from estimators.without_replacement import joint_log_probs, remainder
from tests.support.enumerate import joint
from tests.support.injection import X, gradient

mpmath.mp.dps = 400  # exp(-700) beside 1
LOGITS = [25.0, -25.0, 33.0, 40.0, -40.0]
UNIFORM = {  # option -> hyper-parameters, of those whose mean is exact if each uniform is replaced by three points
    "reinforce": {},
    "reinforce_optimal": {"k": 1, "baseline_draws": 1},
    "rloo": {"k": 2},
    "vargrad": {"k": 2},
    "muprop": {},
    "simple_muprop": {},
    "double_cv": {"k": 2, "scale": 0.7},
    "rodeo": {"k": 2},
    "bitflip": {},
    "local_expectation": {},
    "measure_valued": {},
    "arm": {},
    "disarm": {},
    "darn": {},
    "reinmax": {},
}


def linear(z, q=None):
    return 100 + z.sum(-1)


def slope(logit):
    """p (1 - p)."""
    return float(1 / (2 + 2 * mpmath.cosh(logit)))


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-4)])
@pytest.mark.parametrize("logit", [20.5, -20.5, *LOGITS, 80.0, -80.0])
def test_exact(logit, dtype, tolerance):
    q = Bernoulli(torch.tensor([[logit]], dtype=dtype, requires_grad=True))
    assert gradient(Exact(), q, linear, X[:1]).item() == pytest.approx(slope(logit), rel=tolerance)


def test_exact_of_several_bits_and_of_categories():
    logits, weights = [25.0, -30.0, 0.4], torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)
    q = Bernoulli(torch.tensor([logits], dtype=torch.float64, requires_grad=True))
    got = gradient(Exact(), q, lambda z, q=None: 100 + z @ weights, X[:1])
    for found, logit, weight in zip(got[0], logits, weights, strict=True):
        assert found.item() == pytest.approx(weight.item() * slope(logit), rel=1e-10)
    values = torch.tensor([101.0, 100.0, 102.5], dtype=torch.float64)
    for sizes in ([25.0, 0.0, -1.0], [0.0, 45.0, 3.0]):
        q = Categorical(torch.tensor([[sizes]], dtype=torch.float64, requires_grad=True))
        exact = [mpmath.exp(mpmath.mpf(size)) for size in sizes]
        p = [e / sum(exact) for e in exact]
        for option in ("exact", "local_expectation"):
            got = gradient(bench.estimator(option), q, lambda z, q=None: (z @ values).sum(-1), X[:1])
            for c in range(3):
                excess = sum(p[j] * (mpmath.mpf(values[c].item()) - values[j].item()) for j in range(3))
                assert got[0, 0, c].item() == pytest.approx(float(p[c] * excess), rel=1e-11)


@pytest.mark.parametrize("logit", LOGITS)
@pytest.mark.parametrize("option", UNIFORM)
def test_the_mean_over_all_noise(option, logit):
    """u below min(p, 1 - p), above 1 - that, and between: an estimate is constant or linear in u in each."""
    estimator = bench.estimator(option, **UNIFORM[option]).double()
    rare = 1 / (1 + math.exp(abs(logit)))
    points = torch.tensor([rare / 2, 0.5, 1.0], dtype=torch.float64)  # 1 - rare / 2 would be 1 - rare
    weights = torch.tensor([rare, 1 - 2 * rare, rare], dtype=torch.float64)
    draws = count()
    q = Bernoulli(torch.tensor([[logit]], dtype=torch.float64, requires_grad=True))
    q.uniform = lambda k: torch.full((k, 1, 1), 0.5 + 0 * sum(next(draws) for _ in range(k)), dtype=torch.float64)
    estimator(q, linear, X[:1])
    table = joint(3, next(draws))  # [J, draws]
    rows = iter(points[table].T)
    fixed = Bernoulli(torch.full((len(table), 1, 1), logit, dtype=torch.float64, requires_grad=True))
    fixed.uniform = lambda k: torch.stack([next(rows) for _ in range(k)]).view(k, -1, 1, 1)
    each = gradient(estimator, fixed, linear, X[:1]).flatten()
    found = (weights[table].prod(1) * each).sum().item()
    assert found == pytest.approx(slope(logit), rel=1e-9)


@pytest.mark.parametrize("k", [2, 3, 5, 64])
@pytest.mark.parametrize("logit", [0.3, 19.0, 25.0, 700.0])
def test_decorrelation_of_rare_bits(logit, k):
    m = 1 / (1 + mpmath.exp(logit))
    root = m ** (mpmath.mpf(1) / (k - 1))
    together = max(2 * root - 1, 0) ** (k - 1)
    expected = m * (1 - m) / (m - together)  # 1 / (1 - rho)
    got = decorrelation(torch.tensor([logit], dtype=torch.float64), k).item()
    assert got == pytest.approx(float(expected), rel=1e-11)


def test_bits_of_a_tree_that_are_nearly_certain():
    """Seen where one path alone meets a node: b - p has all its digits; a bit of probability 1 is never 0."""
    nodes = Bernoulli(torch.tensor([25.0, -25.0, math.inf, -math.inf]))
    ones, zeros = torch.ones(4), torch.zeros(4)
    got = DisarmTree.seen(ones, zeros, nodes, ones, zeros)[0]
    assert got.item() == pytest.approx(1 / (1 + math.exp(25)), rel=1e-5)
    least, most = torch.finfo(torch.float32).tiny, 80.0
    for value in (least, 1e-8, 1.0, most):
        for bits in antithetic_bits(nodes, torch.full((1, 4), value)):
            assert bits[0, 2:].tolist() == [1.0, 0.0]


@pytest.mark.parametrize("logit", [25.0, 40.0])
def test_what_a_set_without_replacement_leaves(logit):
    """The probability of the states not drawn, where one state has nearly all of it."""
    q = Categorical(torch.tensor([[[logit, 0.0, -1.0, 0.5]]], dtype=torch.float64))
    log_p = joint_log_probs(q, torch.eye(4, dtype=torch.float64)[[0, 2]].view(2, 1, 1, 4))
    total = mpmath.exp(logit) + 1 + mpmath.exp(-1) + mpmath.exp(0.5)
    assert remainder(log_p).item() == pytest.approx(float((1 + mpmath.exp(0.5)) / total), rel=1e-9)
