"""Every option where an outcome is ruled out by an infinite logit: draw by draw it does what it does without it."""

import math

import pytest
import torch

import bench
from bench.config import plugins
from estimators import Bernoulli, Categorical
from estimators.detached import Detached
from estimators.relax import Relax
from tests.support.discrete import assert_unbiased, exact_gradient
from tests.support.masks import (
    MaskedBernoulli,
    MaskedCategorical,
    SmallBernoulli,
    SmallCategorical,
    WeightedCost,
    fresh,
    inserted,
)

X = torch.tensor([[0.2, 0.9, -0.4], [1.0, -0.3, 0.5]], dtype=torch.float64)
NAMES = sorted({**plugins.registry(), **plugins.presets()})
BY_STICKS = {"carms", "disarm_iw"}  # their noise belongs to positions in rising order of probability, not to categories
MEANS_ALONE = {"arsm", "disarm_tree", "relax", "bitflip", "rodeo"}  # the number of outcomes enters every draw
OPTIONS = {"spsa": {"step": 3.0}, "evolution": {"step": 3.0}}  # far enough for samples to change


def made(name):
    return bench.estimator(name, **OPTIONS.get(name, {})).double()


def options(family):
    for name in NAMES:
        cls = {**plugins.registry()}.get(name, (None,))[0] or plugins.presets()[name]
        if family in cls.latents:
            yield name


def estimate(estimator, q, cost, x=X):
    torch.manual_seed(0)  # for what is drawn at the masked position
    found = estimator(q, cost, x)
    (gradient,) = torch.autograd.grad(found.loss.sum(), q.params)
    return gradient, found


def kinds(estimator):
    if estimator.objective == "iwae":
        return ["sampled"]
    return ["analytic", "sampled"] if estimator.kl == "any" else [estimator.kl]


def assert_the_same(estimator, small, large, costs, keep, masked):
    """Of the small and the masked q with their costs: gradients, cost, tuning and its slopes."""
    (expected, reference), (got, found) = (
        estimate(estimator, q, cost) for q, cost in zip((small, large), costs, strict=True)
    )
    assert expected.abs().max() > 1e-4 or isinstance(estimator, Detached)
    torch.testing.assert_close(got[..., keep], expected, rtol=1e-9, atol=1e-11)
    assert (got[..., masked] == 0).all()
    assert found.loss.isfinite().all()
    torch.testing.assert_close(found.cost, reference.cost, rtol=1e-9, atol=1e-11)
    if reference.tuning is not None:
        torch.testing.assert_close(found.tuning, reference.tuning, rtol=1e-9, atol=1e-11)
        own = [p for p in estimator.parameters() if p.requires_grad]
        slopes = [torch.autograd.grad(e.tuning.sum(), own, allow_unused=True) for e in (found, reference)]
        for ours, theirs in zip(*slopes, strict=True):
            torch.testing.assert_close(ours, theirs, rtol=1e-8, atol=1e-10)


def categories(at, kind, seed=1, shape=(2, 2, 3), order=None):
    """A q of three categories and one that has a fourth at `at`, ruled out; costs that differ there alone."""
    generator = torch.Generator().manual_seed(seed)
    logits, prior, weights = (
        torch.randn(shape if i < 1 else shape[1:], generator=generator, dtype=torch.float64) for i in range(3)
    )
    qs = [
        fresh(SmallCategorical, logits, None, 5),
        fresh(MaskedCategorical, inserted(logits, at, -math.inf), at if order is None else order, 5),
    ]
    priors = [Categorical(prior), Categorical(inserted(prior, at, -math.inf))]
    given = [(q, p) if kind == "sampled" else () for q, p in zip(qs, priors, strict=True)]
    costs = [WeightedCost(w, *g) for w, g in zip((weights, inserted(weights, at, 50.0)), given, strict=True)]
    return qs, costs, [c for c in range(4) if c != at]


@pytest.mark.parametrize("at", [0, 1, 3])
@pytest.mark.parametrize("name", [n for n in options(Categorical) if n not in MEANS_ALONE])
def test_a_category_that_is_ruled_out_changes_no_draw(name, at):
    estimator = made(name)
    for kind in kinds(estimator):
        qs, costs, keep = categories(at, kind, order=0 if name in BY_STICKS else None)
        assert_the_same(estimator, *qs, costs, keep, at)


@pytest.mark.parametrize("kind", ["analytic", "sampled"])
@pytest.mark.parametrize("name", [n for n in options(Categorical) if n in MEANS_ALONE])
def test_a_category_that_is_ruled_out_changes_no_mean(name, kind):
    (small, large), costs, keep = categories(1, kind, shape=(1, 2, 3))
    expected = exact_gradient(small, lambda z: costs[0](z, small))  # log q moves with q: its score has mean 0
    replicas = Categorical(large.params.detach().expand(50_000, *large.params.shape).clone().requires_grad_())
    if kind == "sampled":
        costs[1].frozen = replicas.detach()
    got, found = estimate(made(name), replicas, costs[1], X[:1])
    assert found.loss.isfinite().all()
    assert (got[..., 1] == 0).all()
    assert_unbiased(got[..., keep], expected, 0.2)


@pytest.mark.parametrize("value", [-math.inf, math.inf])
@pytest.mark.parametrize("name", [n for n in options(Bernoulli) if n not in MEANS_ALONE])
def test_a_certain_bit_changes_no_draw(name, value):
    """Three bits, the second of them certain, against the two others with a cost that knows its value."""
    estimator, generator = made(name), torch.Generator().manual_seed(1)
    logits, weights = (torch.randn(2, 2, generator=generator, dtype=torch.float64) for _ in range(2))
    offset = 0.7 if value > 0 else 0.0

    class Shifted(WeightedCost):
        def __call__(self, z, q=None):
            return super().__call__(z if z.shape[-1] == 3 else inserted_live(z, offset > 0), q)

    for kind in kinds(estimator):
        qs = [
            fresh(SmallBernoulli, logits, None, 5),
            fresh(MaskedBernoulli, inserted(logits, 1, value), 1, 5),
        ]
        weight, costs = inserted(weights[0], 1, 0.7), []
        for q in qs:
            prior = Bernoulli(inserted(torch.zeros(1, 2, dtype=torch.float64), 1, value))
            inside = Bernoulli(inserted_params(q.detach().params, value))
            costs.append(Shifted(weight, inside, prior) if kind == "sampled" else Shifted(weight))
        if kind == "sampled":
            costs[0] = with_bit(costs[0], value)
        assert_the_same(estimator, *qs, costs, [0, 2], 1)


def inserted_live(z, bit):
    return torch.cat([z[..., :1], torch.full_like(z[..., :1], float(bit)), z[..., 1:]], -1)


def inserted_params(params, value):
    return params if params.shape[-1] == 3 else inserted(params, 1, value)


def with_bit(cost, value):
    """The cost of two bits where log q is handed in: that of the q of three bits, of which one is certain."""

    def call(z, q=None):
        q = None if q is None else Bernoulli(inserted_params(q.params, value))
        return cost(z, q)

    return call


@pytest.mark.parametrize("value", [-math.inf, math.inf])
@pytest.mark.parametrize("name", [n for n in options(Bernoulli) if n in MEANS_ALONE])
def test_a_certain_bit_changes_no_mean(name, value):
    logits = torch.tensor([[0.4, value, -0.9]], dtype=torch.float64)
    weights = torch.tensor([0.8, 0.7, -1.1], dtype=torch.float64)
    replicas = Bernoulli(logits.expand(50_000, 1, 3).clone().requires_grad_())
    got, found = estimate(made(name), replicas, WeightedCost(weights), X[:1])
    small = Bernoulli(logits[:, [0, 2]].clone().requires_grad_())
    expected = exact_gradient(small, lambda z: WeightedCost(weights)(inserted_live(z, value > 0)))
    assert found.loss.isfinite().all()
    assert (got[..., 1] == 0).all()
    assert_unbiased(got[..., [0, 2]], expected, 0.05)


@pytest.mark.parametrize("name", ["unordered_set", "sum_and_sample", "rao_blackwell_topk"])
def test_sets_larger_than_the_support_are_exact(name):
    """Of 16 states 4 are possible; a set of 6 holds them all."""
    logits = torch.tensor([[[0.3, -math.inf, -0.6, -math.inf], [-math.inf, 1.1, 0.2, -math.inf]]], dtype=torch.float64)
    q = Categorical(logits.requires_grad_())
    small = Categorical(torch.tensor([[[0.3, -0.6], [1.1, 0.2]]], dtype=torch.float64, requires_grad=True))
    weights = torch.tensor([[1.0, 2.0, -0.4, 3.0], [0.5, -1.2, 0.9, 1.0]], dtype=torch.float64)
    expected = exact_gradient(small, WeightedCost(torch.tensor([[1.0, -0.4], [-1.2, 0.9]], dtype=torch.float64)))
    for seed in range(20):
        torch.manual_seed(seed)
        found = bench.estimator(name, k=6)(q, WeightedCost(weights, q, Categorical(logits.detach())), X[:1])
        assert found.loss.isfinite().all()
        (got,) = torch.autograd.grad(bench.estimator(name, k=6)(q, WeightedCost(weights), X[:1]).loss.sum(), q.params)
        picked = torch.stack([got[0, 0, [0, 2]], got[0, 1, [1, 2]]])
        torch.testing.assert_close(picked, expected[0], rtol=0, atol=1e-10)


def test_relax_sees_nothing_of_an_infinite_logit():
    """Not even the surrogate: its slope towards the other logits is not that of a saturated unit."""
    estimator = Relax(relaxed=False).double()
    (_, large), costs, _ = categories(1, "analytic")
    estimator.network.take_sizes(large.natural.detach().flatten(-2), X)
    seen = []
    estimator.network.from_z.register_forward_pre_hook(lambda module, given: seen.append(given[0].abs().max().item()))
    estimate(estimator, large, costs[1])
    assert max(seen) < 50
