"""What DisARM, REBAR and the relaxations have in common: discrete points, samples, replicas, annealing, refusals."""

import math

import pytest
import torch

from estimators import Bernoulli
from estimators.darn import Darn
from estimators.decoupled_st_gumbel import DecoupledSTGumbel
from estimators.disarm import Disarm
from estimators.gapped_st import GappedST
from estimators.gumbel_rao import GumbelRao
from estimators.gumbel_softmax import GumbelSoftmax
from estimators.igr import IGR
from estimators.rebar import Rebar
from estimators.reinmax import Reinmax
from estimators.reinmax_rao import ReinmaxCV, ReinmaxRao
from estimators.schedules import ExponentialAnnealing
from estimators.st_gumbel_softmax import STGumbelSoftmax
from estimators.straight_through import StraightThrough
from estimators.vq_straight_through import VQStraightThrough
from tests.support.discrete import cost_of, make
from tests.support.injection import gradient, injected

EVERY = [
    (estimator, family)
    for estimator in (Rebar, GumbelSoftmax, STGumbelSoftmax, StraightThrough)
    for family in ("bernoulli", "categorical", "vq")
] + [(Disarm, "bernoulli"), (VQStraightThrough, "vq")]
NAMES = [f"{estimator.name}-{family}" for estimator, family in EVERY]
RELAXED = [(estimator, family) for estimator, family in EVERY if estimator in (STGumbelSoftmax, StraightThrough)]
MORE = [(estimator, family) for estimator in (GumbelRao, Reinmax) for family in ("bernoulli", "categorical", "vq")] + [
    (Darn, "bernoulli"),
    (ReinmaxRao, "categorical"),
    (ReinmaxCV, "categorical"),
    (GappedST, "categorical"),
    (DecoupledSTGumbel, "categorical"),
    (DecoupledSTGumbel, "vq"),
]


@pytest.mark.parametrize(("estimator", "family"), [*RELAXED, *MORE, (Disarm, "bernoulli")])
def test_the_cost_and_the_decoder_see_exactly_discrete_points(estimator, family):
    q, weight, seen = make(family, (100,)), torch.tensor(1.3, dtype=torch.float64, requires_grad=True), []

    def cost(z, frozen=None):
        seen.append(z.detach())
        return cost_of(q)(weight * z)

    estimate = estimator(k=4)(q, cost, None)
    (z,) = seen
    assert ((z == 0) | (z == 1)).all()
    if family != "bernoulli":
        assert (z.sum(-1) == 1).all()
    value = cost(z).mean(0)
    torch.testing.assert_close(estimate.cost, value, rtol=0, atol=0)
    got, expected = (torch.autograd.grad(loss.sum(), weight)[0] for loss in (estimate.loss, value))
    torch.testing.assert_close(got, expected, rtol=1e-12, atol=0)


@pytest.mark.parametrize(("estimator", "family"), [*EVERY, *MORE, (IGR, "categorical")])
def test_forward_is_pure_and_any_batch_shape_goes(estimator, family):
    q, built = make(family, (3, 5)), estimator() if estimator is VQStraightThrough else estimator(k=2)
    before = {name: value.clone() for name, value in built.state_dict().items()}
    losses = []
    for _ in range(2):
        torch.manual_seed(3)
        losses.append(built(q, cost_of(q, estimator), None).loss)
    assert torch.equal(*losses)
    assert losses[0].shape == (3, 5)
    assert all(torch.equal(before[name], value) for name, value in built.state_dict().items())


def draws_for(q):
    """The name of q's noise, and noise `[draw, K, ..., B, *]` for two draws of two samples."""
    noise = torch.rand(2, 2, *q.logits.shape, dtype=torch.float64)
    return ("uniform", noise) if isinstance(q, Bernoulli) else ("gumbel", -(-noise.log()).log())


@pytest.mark.parametrize(("estimator", "family"), EVERY, ids=NAMES)
def test_samples_are_averaged(estimator, family):
    q, each = make(family, (4,)), 2 if estimator is Disarm else 1
    (name, noise), cost = draws_for(q), cost_of(q, estimator)
    singles = [gradient(estimator(k=each), injected(q, **{name: list(noise[:, [i]])}), cost) for i in range(2)]
    both = gradient(estimator(k=2 * each), injected(q, **{name: list(noise)}), cost)
    torch.testing.assert_close(both, (singles[0] + singles[1]) / 2, rtol=0, atol=1e-12)


@pytest.mark.parametrize(("estimator", "family"), EVERY, ids=NAMES)
def test_replicas_equal_a_loop_and_vmap(estimator, family):
    q, built = make(family, (3, 4)), estimator(k=4 if estimator is Disarm else 2)
    (name, noise), cost = draws_for(q), cost_of(q, estimator)

    def single(params, *draws):
        def loss(params):
            return built(injected(q.with_params(params), **{name: draws}), cost, None).loss.sum()

        return torch.func.grad(loss)(params)

    together, params = gradient(built, injected(q, **{name: list(noise)}), cost), q.params.detach()
    loop = torch.stack([single(params[r], *noise[:, :, r]) for r in range(3)])
    torch.testing.assert_close(together, loop, rtol=0, atol=1e-12)
    mapped = torch.func.vmap(single, in_dims=(0, 1, 1))(params, *noise)
    torch.testing.assert_close(mapped, loop, rtol=0, atol=1e-12)


def test_annealing():
    temperature = ExponentialAnnealing(2.0, rate=0.01, minimum=0.5, interval=10)
    expected = {0: 2.0, 9: 2.0, 10: 2 * math.exp(-0.1), 25: 2 * math.exp(-0.2), 1000: 0.5}
    for step in range(1001):
        if step in expected:
            assert float(temperature()) == pytest.approx(expected[step], rel=1e-6)
        temperature.update()
    constant = ExponentialAnnealing(0.1)
    constant.update()
    assert constant() == 0.1


@pytest.mark.parametrize(("estimator", "family"), [*RELAXED, (GumbelSoftmax, "vq")])
def test_update_anneals(estimator, family):
    q = make(family, (5,))
    annealed, constant = estimator(rate=0.1, minimum=0.2, interval=1), estimator(temperature=math.exp(-0.3))
    for _ in range(3):
        annealed.update(annealed(q, cost_of(q), None))
    torch.manual_seed(3)
    expected = gradient(constant, q, cost_of(q))
    torch.manual_seed(3)
    torch.testing.assert_close(gradient(annealed, q, cost_of(q)), expected, rtol=1e-5, atol=0)


@pytest.mark.parametrize(
    ("build", "sentence"),
    [
        (lambda: Disarm(k=3), "even k >= 2; got k=3"),
        (lambda: Rebar(k=0), "k >= 1; got k=0"),
        (lambda: Rebar(temperature=0), "temperature above 0; got temperature=0"),
        (lambda: GumbelSoftmax(temperature=-1.0), "temperature above 0; got temperature=-1.0"),
        (lambda: GumbelSoftmax(k=0), "k >= 1; got k=0"),
        (lambda: STGumbelSoftmax(temperature=0), "temperature above 0; got temperature=0"),
        (lambda: STGumbelSoftmax(k=0), "k >= 1; got k=0"),
        (lambda: StraightThrough(jacobian="tanh"), "probs, identity, clipped; got jacobian=tanh"),
        (lambda: StraightThrough(k=0), "k >= 1; got k=0"),
        (lambda: ExponentialAnnealing(1.0, rate=-1.0), "rate >= 0; got rate=-1.0"),
        (lambda: ExponentialAnnealing(1.0, rate=0.1, minimum=2.0), "at most 1.0, its start; got minimum=2.0"),
        (lambda: ExponentialAnnealing(1.0, interval=0), "interval >= 1 steps; got interval=0"),
    ],
)
def test_refused_arguments(build, sentence):
    with pytest.raises(ValueError, match=sentence):
        build()
