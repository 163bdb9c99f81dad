"""MuProp, double control variates and RODEO: exact means over all samples, and what they are with nothing learned."""

import pytest
import torch

from estimators import Estimate, as_loss
from estimators.double_cv import DoubleCV
from estimators.muprop import Muprop, SimpleMuprop
from estimators.reinforce import Reinforce
from estimators.rloo import RLOO
from estimators.rodeo import Rodeo
from tests.support.costs import Nonlinear, SampledKL, small_latents, three_bits
from tests.support.discrete import exact_gradient
from tests.support.enumerate import assert_exactly_unbiased, assert_pure, exact_moments
from tests.support.injection import X, assert_replicas_equal_a_loop_and_vmap, assert_tuning, drawn, gradient, replicated


def rodeo(k=2, scales=(2.0, -3.0), kind=Rodeo):
    estimator = kind(k, hidden=5).double()
    with torch.no_grad():
        estimator.scales.copy_(torch.tensor(scales))
    return estimator


EVERY = [
    (lambda: Muprop(2), "bernoulli"),
    (lambda: Muprop(2), "categorical"),
    (lambda: SimpleMuprop(2), "bernoulli"),
    (lambda: SimpleMuprop(2), "categorical"),
    (lambda: DoubleCV(2, scale=0.7).double(), "bernoulli"),
    (rodeo, "bernoulli"),
]
NAMES = [f"{build().name}-{family}" for build, family in EVERY]


@pytest.mark.parametrize("kl", ["analytic", "sampled"])
@pytest.mark.parametrize(("build", "family"), EVERY, ids=NAMES)
def test_exactly_unbiased(build, family, kl):
    q, cost = small_latents()[family]
    if family == "categorical":  # one example: 9 states, two draws
        q = q.with_params(q.params[:1])
    cost = SampledKL(cost, q) if kl == "sampled" else cost
    assert_exactly_unbiased(build(), q, cost, X[: len(q.params)], 2, tolerance=1e-10)


def test_three_samples_of_three_bits():
    for estimator in (DoubleCV(3, scale=1.3).double(), rodeo(3)):
        assert_exactly_unbiased(estimator, three_bits(), Nonlinear(), X[:1], 3, tolerance=1e-10)


class LostLinearTerm(Muprop):
    """Planted error: the gradient of the expansion is not added back."""

    def forward(self, q, cost, x):
        estimate, logits = super().forward(q, cost, x), q.natural.detach().requires_grad_()
        (lost,) = torch.autograd.grad(cost(q.with_logits(logits).probs[None]).sum(), logits)
        return estimate._replace(loss=estimate.loss - as_loss(q, lost))


class MeanThatSeesTheSample(Muprop):
    """Planted error: the baseline is the cost half-way from the mean to the sample."""

    def forward(self, q, cost, x):
        z = q.sample(self.k)
        score = (cost(z) - cost((z + q.probs) / 2)).detach() * q.log_prob(z)
        return Estimate((score + cost(z)).mean(0), cost(z).mean(0))


class OwnSlope(DoubleCV):
    """Planted error: the control variate of a sample looks at that sample's own slope too."""

    def forward(self, q, cost, x):
        z, p = q.sample(self.k).requires_grad_(), q.probs.detach()
        c = cost(z)
        (slope,) = torch.autograd.grad(c.sum(), z, retain_graph=True)
        reward = c.detach() - self.scale * (slope.mean(0) * (z - p)).sum(-1).detach()
        baseline = (reward.sum(0) - reward) / (self.k - 1)
        score = ((reward - baseline).unsqueeze(-1) * (z.detach() - p)).mean(0)
        return Estimate(as_loss(q, score + self.scale * p * (1 - p) * slope.mean(0)) + c.mean(0), c.mean(0))


class OffByOne(Rodeo):
    """Planted error: the surrogate of a sample is built from that sample's own cost and slope."""

    def _stein(self, z, p, c, slope):
        return super()._stein(z, p, c.roll(1, 0), slope.roll(1, 0))


class WrongRate(Rodeo):
    """Planted error: a bit is flipped at the probability of the value that it has."""

    def _stein(self, z, p, c, slope):
        return super()._stein(z, 1 - p, c, slope)


@pytest.mark.parametrize(
    ("planted", "family"),
    [
        (LostLinearTerm(2), "bernoulli"),
        (LostLinearTerm(2), "categorical"),
        (MeanThatSeesTheSample(2), "bernoulli"),
        (OwnSlope(2, scale=0.7).double(), "bernoulli"),
        (rodeo(kind=OffByOne), "bernoulli"),
        (rodeo(kind=WrongRate), "bernoulli"),
    ],
)
def test_planted_errors_are_rejected(planted, family):
    q, cost = small_latents()[family]
    q = q.with_params(q.params[:1])
    with pytest.raises(AssertionError, match="mean:"):
        assert_exactly_unbiased(planted, q, cost, X[:1], 2, tolerance=1e-10)


@pytest.mark.parametrize(("build", "family"), EVERY, ids=NAMES)
def test_a_linear_cost(build, family):
    """No noise is left where the control variate is the whole cost, up to a constant: a theorem of these only."""
    q = small_latents()[family][0]
    slope = torch.randn(q.params.shape[1:], dtype=torch.float64)
    cost = lambda z, q=None: (z * slope).flatten(-slope.ndim).sum(-1) + 3  # noqa: E731
    estimator = DoubleCV(2, scale=1.0) if build().name == "double_cv" else build()
    each = gradient(estimator, replicated(q, 100), cost)
    exact = exact_gradient(replicated(q, 1), cost)
    noiseless = torch.allclose(each, exact.expand_as(each), rtol=0, atol=1e-12)
    assert noiseless == (estimator.name in ("muprop", "double_cv"))


@pytest.mark.parametrize("k", [2, 3])
def test_without_coefficients_it_is_rloo(k):
    q, cost = small_latents()["bernoulli"]
    q = replicated(q, 20)
    expected = drawn(RLOO(k), q, cost)
    for estimator in (DoubleCV(k), Rodeo(k, hidden=5).double(), rodeo(k, scales=(0.0, 0.0))):
        torch.testing.assert_close(drawn(estimator, q, cost), expected, rtol=0, atol=1e-12)
    for estimator in (DoubleCV(k, scale=0.1), rodeo(k, scales=(2.0, 0.0)), rodeo(k, scales=(0.0, 2.0))):
        assert not torch.allclose(drawn(estimator, q, cost), expected, rtol=0, atol=1e-3)


@pytest.mark.parametrize("family", ["bernoulli", "categorical"])
def test_simple_muprop_is_reinforce_with_the_cost_at_the_mean(family):
    q, cost = small_latents()[family]
    q = q.with_params(q.params[:1].clone().requires_grad_())
    value = cost(q.probs[None]).item()
    expected = drawn(Reinforce(k=3, baseline="constant", value=value).double(), q, cost)
    torch.testing.assert_close(drawn(SimpleMuprop(3), q, cost), expected, rtol=0, atol=1e-6)  # a float32 constant


@pytest.mark.parametrize(("build", "family"), EVERY, ids=NAMES)
def test_draw_by_draw(build, family):
    (q, cost), estimator = small_latents()[family], build()
    assert_pure(estimator, q, cost, X)
    assert_replicas_equal_a_loop_and_vmap(estimator, q, 2, cost)
    live = q.with_params(q.params.detach().requires_grad_())
    if estimator.name != "rodeo":  # whose network sees the cost itself
        for change in (lambda c: c + 7, lambda c: -3 * c):
            changed = drawn(estimator, live, lambda z, q=None, change=change: change(cost(z)))
            factor = change(torch.tensor(1.0)) - change(torch.tensor(0.0))
            torch.testing.assert_close(changed, factor * drawn(estimator, live, cost), rtol=0, atol=1e-11)


def test_tuning():
    q, cost = small_latents()["bernoulli"]
    for estimator in (DoubleCV(3, scale=0.7).double(), rodeo(3)):
        assert_tuning(estimator, q, cost)
    assert DoubleCV(learn=False)(q, cost, X).tuning is None
    assert not any(p.requires_grad for p in DoubleCV(learn=False).parameters())


def test_double_cv_learns_the_best_scale():
    """The mean of `tuning` is the second moment, a parabola in the scale; descending it ends at its vertex."""
    q, cost = three_bits(), Nonlinear()
    moments = [exact_moments(DoubleCV(2, s).double(), q, cost, X[:1], 2).variance.sum().item() for s in (0.0, 1.0, 2.0)]
    best = (3 * moments[0] - 4 * moments[1] + moments[2]) / (2 * (moments[0] - 2 * moments[1] + moments[2]))
    estimator = DoubleCV(2).double()
    optimiser, many = torch.optim.SGD(estimator.parameters(), lr=0.05), replicated(q, 4000)
    for _ in range(100):
        optimiser.zero_grad()
        estimator(many, cost, X[:1]).tuning.mean().backward(inputs=list(estimator.parameters()))
        optimiser.step()
    assert estimator.scale.item() == pytest.approx(best, abs=0.1)
    assert abs(best) > 0.2


@pytest.mark.parametrize(
    ("build", "sentence"),
    [
        (lambda: Muprop(0), "k >= 1; got k=0"),
        (lambda: SimpleMuprop(0), "k >= 1; got k=0"),
        (lambda: DoubleCV(1), "k >= 2; got k=1"),
        (lambda: Rodeo(1), "k >= 2; got k=1"),
        (lambda: Rodeo(hidden=0), "hidden >= 1 units; got hidden=0"),
    ],
)
def test_refused_arguments(build, sentence):
    with pytest.raises(ValueError, match=sentence):
        build()
