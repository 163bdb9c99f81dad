"""K-sample bounds: exact means over all K-tuples of samples, enumerated or integrated."""

from unittest import mock

import pytest
import torch

from estimators.bounds import log_others
from estimators.dreg import Dreg
from estimators.iwae import IWAE, IwaeStl
from estimators.ovis import OVIS, OVISMonteCarlo
from estimators.vimco import VIMCO
from estimators.wake_sleep import ReweightedWakeSleep
from tests.support.bounds import DISCRETE, X, label, true_bound, weights_cost
from tests.support.costs import SampledKL, small_latents
from tests.support.enumerate import assert_pure, exact_moments

SCORE = [
    OVIS(k=2, gamma=0.0),
    VIMCO(k=2),
    VIMCO(k=3),
    VIMCO(k=3, mean="arithmetic"),
    OVISMonteCarlo(k=2),
    OVISMonteCarlo(k=2, draws=2),
]
PATHWISE = [IWAE(k=2), Dreg(k=2), IWAE(k=3), Dreg(k=3)]
EVERY = [*PATHWISE[:2], *SCORE, IwaeStl(k=2), ReweightedWakeSleep(k=2), OVIS(k=2)]


def assert_bound_unbiased(estimator, q, cost, draws, nodes=30, fields=("mean", "decoder", "cost"), tolerance=1e-8):
    moments = exact_moments(estimator, q, cost, X, draws, nodes)
    truth = true_bound(q, cost, estimator.k, nodes)
    for field in fields:
        got, expected = getattr(moments, field), getattr(truth, field)
        torch.testing.assert_close(got, expected, rtol=0, atol=tolerance, msg=lambda m, f=field: f"{f}: {m}")
    return moments


def draws_of(estimator):
    return estimator.k + getattr(estimator, "draws", 0)


@pytest.mark.parametrize("family", DISCRETE)
@pytest.mark.parametrize("estimator", SCORE, ids=label)
def test_score_estimators_of_the_bound_are_exactly_unbiased(family, estimator):
    q, cost = weights_cost(family)
    assert_bound_unbiased(estimator, q, cost, draws_of(estimator))
    own = mock.patch(f"{type(estimator).__module__}.log_others", lambda c: (-c).logsumexp(0).expand_as(c))
    with own, pytest.raises(AssertionError, match="mean"):  # planted error: the own sample is among the others
        assert_bound_unbiased(estimator, q, cost, draws_of(estimator))


def test_examples_do_not_meet():
    q, cost = weights_cost("bernoulli", examples=2)
    assert_bound_unbiased(VIMCO(k=2), q, cost, 2)


@pytest.mark.parametrize("estimator", [*PATHWISE, VIMCO(k=2), OVISMonteCarlo(k=2)], ids=label)
def test_gaussian_estimators_of_the_bound_are_unbiased_to_the_quadrature(estimator):
    q, cost = weights_cost("gaussian")
    assert_bound_unbiased(estimator, q, cost, draws_of(estimator), tolerance=1e-7)


@pytest.mark.parametrize("k", [2, 3])
def test_iwae_stl_is_biased(k):
    """What DReG squares is not squared here: the control that the assertion must reject."""
    q, cost = weights_cost("gaussian")
    assert not IwaeStl(k=k).unbiased
    assert_bound_unbiased(IwaeStl(k=k), q, cost, k, fields=("decoder", "cost"), tolerance=1e-7)
    with pytest.raises(AssertionError, match="mean"):
        assert_bound_unbiased(IwaeStl(k=k), q, cost, k, tolerance=1e-3)
    assert IwaeStl(k=1).unbiased
    assert_bound_unbiased(IwaeStl(k=1), q, cost, 1, tolerance=1e-7)


@pytest.mark.parametrize("wrong", [OVIS(k=2), OVIS(k=3, gamma=0.1), ReweightedWakeSleep(k=2)], ids=label)
@pytest.mark.parametrize("family", DISCRETE)
def test_other_objectives_for_q_have_the_decoder_of_the_bound(family, wrong):
    q, cost = weights_cost(family)
    assert not wrong.unbiased
    assert_bound_unbiased(wrong, q, cost, wrong.k, fields=("decoder", "cost"))
    with pytest.raises(AssertionError, match="mean"):
        assert_bound_unbiased(wrong, q, cost, wrong.k)


@pytest.mark.parametrize("spread", [1.0, 800.0])
def test_log_others_is_finite_where_one_weight_dominates(spread):
    c = spread * torch.randn(5, 7, dtype=torch.float64)
    expected = torch.stack([-torch.cat([c[:i], c[i + 1 :]]) for i in range(5)]).logsumexp(1)
    torch.testing.assert_close(log_others(c), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("estimator", EVERY, ids=label)
def test_forward_is_pure_and_any_batch_shape_goes(estimator):
    q, cost = small_latents()["gaussian"]
    q = q.with_params(q.params.expand(3, 2, 4).clone().requires_grad_())
    cost = SampledKL(cost, q)
    assert_pure(estimator, q, cost, X)
    estimate = estimator(q, cost, X)
    assert estimate.loss.shape == estimate.cost.shape == (3, 2)
    assert estimator.objective == "iwae"


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: IWAE(k=0), "k >= 1"),
        (lambda: IwaeStl(k=0), "k >= 1"),
        (lambda: Dreg(k=0), "k >= 1"),
        (lambda: VIMCO(k=1), "k >= 2"),
        (lambda: VIMCO(mean="harmonic"), "arithmetic or geometric"),
        (lambda: ReweightedWakeSleep(k=1), "k >= 2"),
        (lambda: OVIS(k=1), "k >= 2"),
        (lambda: OVIS(gamma=1.5), "gamma is 0 to 1"),
        (lambda: OVISMonteCarlo(draws=0), "draws >= 1"),
    ],
)
def test_impossible_values(build, message):
    with pytest.raises(ValueError, match=message):
        build()
