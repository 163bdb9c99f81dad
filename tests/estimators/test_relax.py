"""RELAX: exact means over all noise of one bit, z-tests beyond, and what it is without its network or its cost."""

import pytest
import torch
from torch import nn

from estimators import Bernoulli, Estimate
from estimators.rebar import Rebar
from estimators.reinforce import Reinforce
from estimators.relax import Relax
from tests.support.costs import SampledKL, small_latents, three_bits
from tests.support.discrete import held_conditional, same_relaxation
from tests.support.enumerate import assert_pure
from tests.support.injection import (
    X,
    assert_exact,
    assert_replicas_equal_a_loop_and_vmap,
    assert_tuning,
    assert_unbiased,
    drawn,
    injected,
    live,
    ready,
    replicated,
)

UNITS = {"bernoulli": 2, "categorical": 6}  # of small_latents


EVERY = [
    (lambda: ready(Relax(2, hidden=5), 2), "bernoulli"),
    (lambda: ready(Relax(2, relaxed=False, hidden=5), 2), "bernoulli"),
    (lambda: ready(Relax(2, scale=0.6, temperature=0.9, hidden=5), 6), "categorical"),
]
NAMES = ["relax-bernoulli", "relax_without_cost-bernoulli", "relax-categorical"]


class OneBit(nn.Module):
    """(w z - 0.3)^2 + exp(0.8 z) with parameter w."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(1.2, dtype=torch.float64))

    def forward(self, z, q=None):
        return (self.weight * z[..., 0] - 0.3) ** 2 + (0.8 * z[..., 0]).exp()


def over_two_uniforms(bit):
    """One bit replicated over tanh-sinh nodes of two uniform draws, the first split where the bit changes.

    The nodes crowd at the ends of an interval, where noise grows without bound.
    """
    t = torch.linspace(-2.9, 2.9, 59, dtype=torch.float64)
    x = torch.sigmoid(torch.pi * t.sinh())
    w = torch.pi * t.cosh() * x * (1 - x) * (t[1] - t[0])
    edge = torch.sigmoid(-bit.logits.detach()).item()
    axes = [torch.cat([edge * x, edge + (1 - edge) * x]), x]
    widths = [torch.cat([edge * w, (1 - edge) * w]), w]
    u = torch.stack(torch.meshgrid(*axes, indexing="ij")).flatten(1)  # [2, R]
    weights = torch.stack(torch.meshgrid(*widths, indexing="ij")).flatten(1).prod(0)
    return injected(replicated(bit, u.shape[1]), uniform=list(u.view(2, 1, -1, 1, 1))), weights


@pytest.mark.parametrize("kl", ["analytic", "sampled"])
@pytest.mark.parametrize("relaxed", [True, False])
@pytest.mark.parametrize("logit", [0.4, -1.3])
def test_relax_is_exactly_unbiased_for_one_bit(logit, relaxed, kl):
    bit = Bernoulli(torch.tensor([[logit]], dtype=torch.float64))
    cost = SampledKL(OneBit(), bit) if kl == "sampled" else OneBit()
    q, weights = over_two_uniforms(bit)
    estimator = ready(Relax(relaxed=relaxed, scale=0.8, temperature=0.7, hidden=5), 1)
    assert_exact(estimator, q, weights, cost, X[:1], tolerance=1e-9)
    for planted in (held_conditional, same_relaxation):
        with pytest.raises(AssertionError, match="q:"):
            assert_exact(estimator, planted(q), weights, cost, X[:1], tolerance=1e-9)


class RelaxByHand(Relax):
    """The formula with plain automatic differentiation, for its gradient only."""

    def forward(self, q, cost, x):
        noisy = q.perturbed(self.k)  # [K, ..., B, *]
        z = q.harden(noisy.detach())
        conditional = self.surrogate(q, q.conditional(z), cost, x)
        reward, pathwise = (cost(z) - conditional).detach(), self.surrogate(q, noisy, cost, x) - conditional
        return Estimate(self.score(reward, q.log_prob(z)) + pathwise.mean(0), cost(z).mean(0))

    def score(self, reward, log_q):
        return (reward * log_q).mean(0)


class MultipliedAverages(RelaxByHand):
    """Planted error: the average reward times the average score, where the average of their products belongs."""

    def score(self, reward, log_q):
        return reward.mean(0) * log_q.mean(0)


@pytest.mark.parametrize(("build", "family"), EVERY, ids=NAMES)
def test_draw_by_draw(build, family):
    (q, cost), estimator = small_latents()[family], build()
    assert_pure(estimator, q, cost, X)
    assert_replicas_equal_a_loop_and_vmap(estimator, q, 2, cost)
    assert_tuning(estimator, q, cost)
    expected, q = build(), live(q)
    expected.load_state_dict(estimator.state_dict())
    expected.__class__ = RelaxByHand
    torch.testing.assert_close(drawn(estimator, q, cost), drawn(expected, q, cost), rtol=0, atol=1e-11)
    estimate = estimator(q, cost, X)  # the decoder sees the samples alone
    got, samples = (torch.autograd.grad(v.sum(), cost.weights, retain_graph=True)[0] for v in estimate[:2])
    torch.testing.assert_close(got, samples, rtol=1e-12, atol=0)


@pytest.mark.parametrize("family", ["bernoulli", "categorical"])
def test_without_a_surrogate_it_is_reinforce(family):
    q, cost = small_latents()[family]
    q, units = live(q), UNITS[family]
    expected = drawn(Reinforce(3), q, cost)
    for estimator in (Relax(3, relaxed=False), Relax(3, scale=0.0)):
        torch.testing.assert_close(drawn(ready(estimator, units, 0.0), q, cost), expected, rtol=0, atol=1e-12)
        assert not torch.allclose(drawn(ready(estimator, units), q, cost), expected, rtol=0, atol=1e-2)


@pytest.mark.parametrize("family", ["bernoulli", "categorical"])
def test_without_its_network_it_is_rebar(family):
    q, cost = small_latents()[family]
    relax = ready(Relax(2, scale=0.7, temperature=0.6), UNITS[family], 0.0)
    rebar = Rebar(2, scale=0.7, temperature=0.6, relaxation="concrete").double()
    q = live(q)
    torch.testing.assert_close(drawn(relax, q, cost), drawn(rebar, q, cost), rtol=0, atol=1e-12)


# The last number bounds the smallest bias that |z| < 4.5 shows in every coordinate over these 200,000 draws.
@pytest.mark.parametrize(("family", "detectable"), [("bernoulli", 0.005), ("categorical", 0.006)])
def test_unbiased_with_sampled_noise(family, detectable):
    q, cost = small_latents()[family]
    estimator = ready(Relax(2, hidden=5), UNITS[family], 0.5)
    assert_unbiased(estimator, q, cost, detectable, X)
    if family == "bernoulli":
        estimator.__class__ = MultipliedAverages
        with pytest.raises(AssertionError):
            assert_unbiased(estimator, q, cost, float("inf"), X)


def test_layers_are_made_once_for_the_first_batch():
    q, cost = three_bits(), lambda z, q=None: z.sum(-1) ** 2
    estimator = Relax(hidden=4).double()
    for _ in range(2):
        estimator(q, cost, X[:1])
    assert estimator.network.from_z.weight.shape == (4, 3)
    assert estimator.network.from_x.weight.shape == (4, 3)
    assert estimator.network.from_x.bias is None


@pytest.mark.parametrize(
    ("build", "sentence"),
    [
        (lambda: Relax(0), "k >= 1; got k=0"),
        (lambda: Relax(temperature=0.0), "temperature above 0; got temperature=0.0"),
        (lambda: Relax(hidden=0), "hidden >= 1 units; got hidden=0"),
    ],
)
def test_refused_arguments(build, sentence):
    with pytest.raises(ValueError, match=sentence):
        build()
