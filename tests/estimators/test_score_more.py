"""VarGrad, optimal baselines and the likelihood as reward: exact means over all samples."""

import pytest
import torch

from estimators import Bernoulli, Gaussian
from estimators.base import Estimate
from estimators.reinforce import Reinforce
from estimators.reinforce_optimal import ReinforceOptimal, score
from estimators.reinforce_probability import ReinforceProbability
from estimators.rloo import RLOO
from estimators.vargrad import VarGrad
from tests.support.costs import Nonlinear, Quadratic, SampledKL, one_example, small_latents, three_bits
from tests.support.enumerate import assert_exactly_unbiased, assert_pure, exact_moments, replay, true_gradient, z_scores
from tests.support.injection import X

X1 = X[:1]
DISCRETE = ["bernoulli", "categorical", "vq"]
FAMILIES = ["gaussian", *DISCRETE]


def line():
    return Gaussian(torch.tensor([[0.4, -0.3]], dtype=torch.float64))


def gradients(estimator, q, cost):
    leaf = q.with_params(q.params.detach().clone().requires_grad_())
    return torch.autograd.grad(estimator(leaf, cost, X).loss.sum(), [leaf.params, cost.weights])


class Shrunk(VarGrad):
    """Planted error: the variance is divided by K instead of K - 1."""

    def forward(self, q, cost, x):
        z = q.sample(self.k)
        c, log_q = cost(z), q.log_prob(z)
        return Estimate(0.5 * (c.detach() + log_q - log_q.detach()).var(0, correction=0) + c.mean(0), c.mean(0))


class LiveVariance(VarGrad):
    """Planted error: the decoder minimises the variance too."""

    def forward(self, q, cost, x):
        z = q.sample(self.k)
        c, log_q = cost(z), q.log_prob(z)
        return Estimate(0.5 * (c + log_q - log_q.detach()).var(0) + c.mean(0), c.mean(0))


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("k", [2, 5])
def test_vargrad_is_leave_one_out(family, k):
    q, cost = small_latents()[family]
    found = []
    for estimator in (VarGrad(k=k), RLOO(k=k)):
        torch.manual_seed(3)
        found.append(gradients(estimator, q, cost))
    for got, expected in zip(*found, strict=True):
        torch.testing.assert_close(got, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("family", DISCRETE)
def test_vargrad_exact_mean(family):
    q, cost = one_example(family)
    assert_exactly_unbiased(VarGrad(k=2), q, cost, X1, 2)
    for wrong, part in ((Shrunk(k=2), "mean"), (LiveVariance(k=2), "decoder")):
        with pytest.raises(AssertionError, match=f"^{part}"):
            assert_exactly_unbiased(wrong, q, cost, X1, 2)
    assert_exactly_unbiased(VarGrad(k=2), line(), Quadratic(1.3), X1, 2)


class OwnDraws(ReinforceOptimal):
    """Planted error: the baseline is estimated from the samples it is subtracted from."""

    def forward(self, q, cost, x):
        z = q.sample(self.k)
        q.sample = lambda k: z
        return super().forward(q, cost, x)


@pytest.mark.parametrize("family", DISCRETE)
@pytest.mark.parametrize("baseline", ["scalar", "per_dimension"])
def test_reinforce_optimal_exact_mean(family, baseline):
    q, cost = one_example(family)
    build = {"k": 1, "baseline_draws": 2, "baseline": baseline}
    for c in (cost, SampledKL(cost, q)):
        assert_exactly_unbiased(ReinforceOptimal(**build), q, c, X1, 3)
    with pytest.raises(AssertionError, match=r"^mean"):
        assert_exactly_unbiased(OwnDraws(k=2, baseline_draws=2, baseline=baseline), q, cost, X1, 2)
    assert_exactly_unbiased(ReinforceOptimal(k=1, baseline_draws=1, baseline=baseline), line(), Quadratic(1.3), X1, 2)
    assert_pure(ReinforceOptimal(**build), q, cost, X1)


def test_one_draw_as_baseline():
    q, cost = one_example("bernoulli")
    torch.manual_seed(0)
    first = gradients(ReinforceOptimal(k=1, baseline_draws=1), q, cost)[0]
    torch.manual_seed(0)
    z = torch.cat([q.sample(1), q.sample(1)])
    c = cost(z)
    torch.testing.assert_close(first, ((c[0] - c[1])[:, None] * (z[0] - q.probs)).detach(), rtol=0, atol=1e-12)


def test_the_baseline_is_optimal_where_its_draws_are_all_states():
    p = torch.tensor([[1 / 4, 1 / 2, 2 / 3]], dtype=torch.float64)
    q, cost = Bernoulli(p.logit()), Nonlinear()
    states = q.enumerate()
    states = states.repeat_interleave((24 * q.log_prob(states).exp()).round().long().flatten(), 0)  # all 24 alike
    scalar = ReinforceOptimal(baseline="scalar").estimated(q, cost, states).item()
    each = ReinforceOptimal(baseline="per_dimension").estimated(q, cost, states).detach()[0]

    def variance(value):
        return exact_moments(Reinforce(baseline="constant", value=value), q, cost, X1, 1).variance[0]

    assert variance(scalar).sum() < min(variance(scalar + step).sum() for step in (-0.01, 0.01))
    for d, value in enumerate(each.tolist()):
        assert variance(value)[d] < min(variance(value + step)[d] for step in (-0.01, 0.01))
    assert not torch.allclose(each, each.mean(), rtol=0, atol=0.01)  # they are different numbers here


@pytest.mark.parametrize("family", FAMILIES)
def test_score(family):
    q, _ = small_latents()[family]
    params = q.params if family == "gaussian" else q.logits
    live = (q.with_params if family == "gaussian" else q.with_logits)(params.detach().clone().requires_grad_())
    z = live.sample(3)
    (expected,) = torch.autograd.grad(live.log_prob(z).sum(), live.params)
    torch.testing.assert_close(score(q, z).sum(0), expected, rtol=0, atol=1e-12)


def test_certain_bits_have_no_baseline():
    q = Bernoulli(torch.full((1, 2), 200.0).requires_grad_())
    for baseline in ("scalar", "per_dimension"):
        loss = ReinforceOptimal(baseline=baseline)(q, lambda z, q=None: z.sum(-1) + 3, X1.float()).loss.sum()
        assert torch.equal(torch.autograd.grad(loss, q.params)[0], torch.zeros(1, 2))


# A bias of 0.05 in any coordinate would show as |z| > 4.5 over 200,000 draws.
@pytest.mark.parametrize("baseline", ["scalar", "per_dimension"])
def test_reinforce_optimal_of_gaussian(baseline):
    q, cost = small_latents()["gaussian"]
    assert z_scores(ReinforceOptimal(k=2, baseline_draws=4, baseline=baseline), q, cost, X).abs().max() < 4.5
    assert z_scores(OwnDraws(k=2, baseline_draws=2, baseline=baseline), q, cost, X).abs().max() > 4.5


class Probability(torch.nn.Module):
    """Minus the geometric mean probability of three pixels, as a cost."""

    def __init__(self, cost):
        super().__init__()
        self.cost = cost

    def forward(self, z, q=None):
        return -torch.exp(-self.cost(z) / 3)


@pytest.mark.parametrize("family", DISCRETE)
@pytest.mark.parametrize("k", [1, 2])
def test_reinforce_probability(family, k):
    q, cost = one_example(family)
    moments = exact_moments(ReinforceProbability(k=k), q, cost, X1, k)
    elbo, own = true_gradient(q, cost), true_gradient(q, Probability(cost))
    torch.testing.assert_close(moments.mean, own.mean, rtol=0, atol=1e-12)
    torch.testing.assert_close(moments.decoder, elbo.decoder, rtol=0, atol=1e-12)
    torch.testing.assert_close(moments.cost, elbo.cost, rtol=0, atol=1e-12)
    assert (moments.mean - elbo.mean).abs().max() > 1e-3
    assert not ReinforceProbability.unbiased
    wrong = exact_moments(ReinforceProbability(k=k), q, cost, X1[:, :1], k)  # planted error: pixels miscounted
    with pytest.raises(AssertionError, match="not close"):
        torch.testing.assert_close(wrong.mean, own.mean, rtol=0, atol=1e-12)


def test_replicas_equal_a_loop():
    q, cost = three_bits(), Nonlinear()
    noise = q.with_params(q.params.expand(5, 1, 3)).sample(4)  # [K, R, 1, D]
    for estimator in (VarGrad(k=4), ReinforceOptimal(k=2, baseline_draws=2), ReinforceProbability(k=4)):
        together = replay(q, noise)
        expected = torch.autograd.grad(estimator(together, cost, X1).loss.sum(), together.params)[0]
        for r in range(5):
            single = replay(q, noise[:, r : r + 1])
            got = torch.autograd.grad(estimator(single, cost, X1).loss.sum(), single.params)[0]
            torch.testing.assert_close(got[0], expected[r], rtol=0, atol=1e-12)


def test_refusals():
    for build, sentence in (
        (lambda: VarGrad(k=1), "k >= 2; got k=1"),
        (lambda: ReinforceOptimal(k=0), "got k=0, baseline_draws=2"),
        (lambda: ReinforceOptimal(baseline_draws=0), "got k=2, baseline_draws=0"),
        (lambda: ReinforceOptimal(baseline="vector"), "choose scalar or per_dimension"),
        (lambda: ReinforceProbability(k=0), "k >= 1; got k=0"),
    ):
        with pytest.raises(ValueError, match=sentence):
            build()
