"""ReinMax, its two variants and the 1/2-estimator: exact means by enumeration, Jacobians written out."""

import math

import pytest
import torch

from estimators import VQ, Bernoulli, Categorical
from estimators.darn import Darn
from estimators.reinmax import Reinmax
from estimators.reinmax_rao import ReinmaxCV, ReinmaxRao
from estimators.straight_through import StraightThrough
from tests.support.discrete import assert_mean, assert_unbiased, cost_of, exact_gradient, gumbels, make, over_samples
from tests.support.injection import gradient, injected, replicated

FAMILIES = ("bernoulli", "categorical", "vq")
EXACT = [(Reinmax, f) for f in FAMILIES] + [(Darn, "bernoulli")]


def quadratic(z, q=None):
    """All products of two entries of z, those of one coordinate included."""
    flat = z.flatten(-2) if z.shape[-2:] == (2, 3) else z
    size = flat.shape[-1]
    matrix = torch.linspace(-1, 1, size * size, dtype=z.dtype).cos().mul(9).sin().view(size, size)
    return (flat @ matrix * flat).sum(-1) + flat.sum(-1) + 0.3


@pytest.mark.parametrize(("estimator", "family"), EXACT)
def test_exact_for_quadratic_costs_only(estimator, family):
    bare = make(family, (1,))
    q, weights = over_samples(bare)
    expected = exact_gradient(bare, quadratic)
    assert_mean(gradient(estimator(), q, quadratic), weights, expected)
    for wrong in [StraightThrough()] + ([Reinmax(temperature=1.5)] if estimator is Reinmax else []):
        with pytest.raises(AssertionError):
            assert_mean(gradient(wrong, q, quadratic), weights, expected)
    for cost in (cost_of(bare), lambda z, q=None: quadratic(z) ** 2):
        with pytest.raises(AssertionError):
            assert_mean(gradient(estimator(), q, cost), weights, exact_gradient(bare, cost))
    assert not estimator.unbiased


def drawn(family, k=1):
    """q `[20]` with injected noise, its only draw."""
    q = make(family, (20,))
    if family == "bernoulli":
        return injected(q, uniform=[torch.rand(k, *q.logits.shape, dtype=torch.float64)])
    return injected(q, gumbel=[gumbels(k, *q.logits.shape)])


def test_on_bits_reinmax_is_the_half_estimator():
    q = drawn("bernoulli")
    reinmax, darn = (gradient(e, q, cost_of(q)) for e in (Reinmax(), Darn()))
    torch.testing.assert_close(reinmax, darn, rtol=0, atol=1e-12)
    assert (gradient(Reinmax(temperature=1.3), q, cost_of(q)) - darn).abs().max() > 1e-3


def test_a_bit_is_a_category_of_two():
    q = drawn("bernoulli")
    noise = torch.logit(q.uniform(1))
    pairs = torch.stack([q.logits.detach(), torch.zeros_like(q.logits)], -1).requires_grad_()
    categories = injected(Categorical(pairs), gumbel=[torch.stack([noise, torch.zeros_like(noise)], -1)])
    estimator = Reinmax(temperature=1.3)
    expected = gradient(estimator, categories, lambda z, q=None: cost_of(Bernoulli(z))(z[..., 0]))[..., 0]
    torch.testing.assert_close(gradient(estimator, q, cost_of(q)), expected, rtol=0, atol=1e-12)


def jacobian(p):
    """Of softmax where it is p `[..., C]`."""
    return torch.diag_embed(p) - p[..., :, None] * p[..., None, :]


def slope_at(z, cost):
    point = z.clone().requires_grad_()
    return torch.autograd.grad(cost(point).sum(), point)[0]


def conditional(p, z, noise):
    """Perturbed log p given that the largest is z: the top value is one Gumbel, the others are truncated at it."""
    top = (z * noise).sum(-1, keepdim=True)
    return torch.where(z > 0.5, top, -((-top).exp() + (-noise).exp() / p).log())


@pytest.mark.parametrize("temperature", [1.0, 0.6])
def test_the_jacobians_are_those_of_the_formulas(temperature):
    bare = make("categorical", (20,))
    noise = gumbels(3, 1, *bare.logits.shape)
    first, draws = noise[0], noise[1:]  # what decides z [K, B, D, C], the conditional draws [M, K, B, D, C]
    cost, p = cost_of(bare), bare.probs.detach()
    z = bare.harden(bare.logits.detach() + first)
    middle, slope = (p + z) / 2, slope_at(z, cost)[0][..., None]
    rao = jacobian(torch.softmax(conditional(middle, z, draws) / temperature, -1)).mean(0) / temperature
    single = jacobian(torch.softmax((middle.log() + first) / temperature, -1)) / temperature
    tempered = jacobian((torch.softmax(bare.logits.detach() / temperature, -1) + z) / 2)
    expected = {
        Reinmax(temperature=temperature): 2 * tempered - jacobian(p) / 2,
        ReinmaxRao(temperature=temperature, draws=2): 2 * rao - jacobian(p) / 2,
        ReinmaxCV(temperature=temperature, draws=2, scale=0.7): 2 * jacobian(middle)
        - jacobian(p) / 2
        + 0.7 * (rao - single),
    }
    for estimator, matrix in expected.items():
        q = injected(bare, gumbel=[first, draws])
        got = gradient(estimator, q, cost)
        torch.testing.assert_close(got, (matrix @ slope)[0, ..., 0], rtol=0, atol=1e-10)


def test_reinmax_cv_at_scale_0_is_reinmax():
    bare = make("categorical", (20,))
    gradients = []
    for estimator in (Reinmax(), ReinmaxCV(scale=0.0), ReinmaxCV()):
        torch.manual_seed(3)
        gradients.append(gradient(estimator, bare, cost_of(bare)))
    torch.testing.assert_close(gradients[0], gradients[1], rtol=0, atol=1e-12)
    assert (gradients[0] - gradients[2]).abs().max() > 1e-3


@pytest.mark.parametrize("estimator", [ReinmaxRao(draws=4), ReinmaxCV(draws=4)], ids=lambda e: e.name)
def test_the_variants_are_biased_where_reinmax_is_exact(estimator):
    """200,000 draws; ReinMax itself passes the assertion that they fail."""
    bare = make("categorical", (1,))
    q, expected = replicated(bare, 200_000), exact_gradient(bare, quadratic)
    assert_unbiased(gradient(Reinmax(), q, quadratic), expected, 0.05)
    with pytest.raises(AssertionError):
        assert_unbiased(gradient(estimator, q, quadratic), expected, math.inf)


@pytest.mark.parametrize(("estimator", "family"), EXACT)
def test_samples_are_averaged(estimator, family):
    bare, (name, size) = make(family, (4,)), ("uniform", 3) if family == "bernoulli" else ("gumbel", (2, 3))
    noise = torch.rand(2, 4, *([size] if isinstance(size, int) else size), dtype=torch.float64)
    noise = noise if name == "uniform" else -(-noise.log()).log()
    both = gradient(estimator(k=2), injected(bare, **{name: [noise]}), cost_of(bare))
    singles = [gradient(estimator(), injected(bare, **{name: [n[None]]}), cost_of(bare)) for n in noise]
    torch.testing.assert_close(both, (singles[0] + singles[1]) / 2, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Reinmax(k=0), "k >= 1"),
        (lambda: Darn(k=0), "k >= 1"),
        (lambda: Reinmax(temperature=0), "above 0"),
        (lambda: ReinmaxRao(draws=0), "draws >= 1"),
        (lambda: ReinmaxRao(temperature=-1), "above 0"),
        (lambda: ReinmaxCV(draws=0), "draws >= 1"),
        (lambda: ReinmaxCV(temperature=0), "above 0"),
    ],
)
def test_impossible_values(build, message):
    with pytest.raises(ValueError, match=message):
        build()


def test_a_point_mass_is_refused():
    q = VQ(torch.zeros(1, 2, 2), torch.zeros(3, 2), temperature=0)
    assert "temperature above 0" in Reinmax().refuses(q)
    assert "categorical" in ReinmaxRao().refuses(make("vq", (1,)))
