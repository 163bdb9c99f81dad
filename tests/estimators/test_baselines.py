"""Baselines of the score function: each leaves the mean alone, and only `update` moves its state."""

from pathlib import Path

import pytest
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf
from torch import Tensor

from estimators import Bernoulli
from estimators.reinforce import Reinforce
from tests.support import planted
from tests.support.costs import Nonlinear, SampledKL, small_latents
from tests.support.enumerate import assert_exactly_unbiased, assert_pure, exact_moments, true_gradient, z_scores
from tests.support.injection import X, leaf_gradient

FAMILIES = ("gaussian", "bernoulli", "categorical", "vq")


def warm(baseline: str, **hyper) -> Reinforce:
    """In float64 and with a past: two updates, whose costs are near those of the tests."""
    estimator = Reinforce(baseline=baseline, **hyper).double()
    q, cost = small_latents()["bernoulli"]
    for _ in range(2):
        estimator.update(estimator(q, cost, X))
    return estimator


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("baseline", ["none", "constant", "moving_average", "network"])
@pytest.mark.parametrize("kl", ["analytic", "sampled"])
def test_every_baseline_is_exactly_unbiased(family, baseline, kl):
    q, cost = small_latents()[family]
    q, x = q.with_params(q.params[:1]), X[:1]
    cost = SampledKL(cost, q) if kl == "sampled" else cost
    nodes = 40 if family == "gaussian" else 0
    assert_exactly_unbiased(warm(baseline, value=3.0, hidden=5), q, cost, x, 1, nodes)
    if family != "gaussian":
        assert_exactly_unbiased(warm(baseline, value=3.0, hidden=5, k=2), q, cost, x, 2)


@pytest.mark.parametrize("baseline", ["moving_average", "network"])
def test_baselines_are_exactly_unbiased_with_several_examples(baseline):
    q, cost = small_latents()["bernoulli"]
    assert_exactly_unbiased(warm(baseline, hidden=5, k=2), q, cost, X, 2)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("baseline", ["none", "network"])
def test_sampled_mean_agrees_with_the_truth(family, baseline):
    q, cost = small_latents()[family]
    assert z_scores(warm(baseline, k=2), q, cost, X).abs().max() < 4.5
    assert z_scores(planted.SelfBaseline(k=2), q, cost, X).abs().max() > 6


def test_state_that_moves_in_forward_is_rejected():
    q, cost = small_latents()["bernoulli"]
    for baseline in ("none", "moving_average", "network"):
        assert_pure(warm(baseline, normalise=True), q, cost, X)
    with pytest.raises(AssertionError, match="forward moved running"):
        assert_pure(planted.StateInForward(), q, cost, X)


def gradients(estimator, q, cost, x: Tensor, seed: int = 3) -> Tensor:
    torch.manual_seed(seed)
    return leaf_gradient(estimator, q, cost, x)


def test_constant_baseline_shifts_the_cost_draw_by_draw():
    q, cost = small_latents()["categorical"]
    shifted = gradients(Reinforce(k=3), q, lambda z: cost(z) - 2.5, X)
    torch.testing.assert_close(gradients(Reinforce(k=3, baseline="constant", value=2.5), q, cost, X), shifted)


def test_moving_average_weighs_the_past_and_sums_to_one():
    q, cost = small_latents()["bernoulli"]
    estimator = Reinforce(baseline="moving_average", decay=0.8).double()
    estimate = estimator(q, cost, X)
    assert estimator.baseline.centre == 0  # nothing moved before update
    for c in ([1.0, 3.0], [5.0, 7.0], [-1.0, 0.0]):
        estimator.update(estimate._replace(cost=torch.tensor(c, dtype=torch.float64)))
    expected = (0.64 * 2.0 + 0.8 * 6.0 - 0.5) / (0.64 + 0.8 + 1)
    assert estimator.baseline.centre.shape == ()
    assert estimator.baseline.centre.item() == pytest.approx(expected, rel=1e-6)
    fixed = Reinforce(baseline="constant", value=estimator.baseline.centre.item()).double()
    torch.testing.assert_close(gradients(estimator, q, cost, X), gradients(fixed, q, cost, X))


def test_state_survives_saving():
    estimator, fresh = warm("network", normalise=True), Reinforce(baseline="network", normalise=True).double()
    fresh.load_state_dict(estimator.state_dict())
    q, cost = small_latents()["vq"]
    torch.testing.assert_close(gradients(fresh, q, cost, X), gradients(estimator, q, cost, X), rtol=0, atol=0)


def test_network_is_trained_by_tuning_alone():
    q, cost = small_latents()["bernoulli"]
    params = q.params.clone().requires_grad_()
    estimator = warm("network", hidden=7, k=2)
    estimate = estimator(q.with_params(params), cost, X)
    own = list(estimator.parameters())
    assert all(g is None for g in torch.autograd.grad(estimate.loss.sum(), own, allow_unused=True, retain_graph=True))
    others = [params, cost.weights]
    unused = torch.autograd.grad(estimate.tuning.sum(), others, allow_unused=True, retain_graph=True)
    assert all(g is None for g in unused)
    assert all(g.abs().sum() > 0 for g in torch.autograd.grad(estimate.tuning.sum(), own))
    predicted = estimator.baseline.centre + estimator.baseline.layers(X).squeeze(-1)
    torch.manual_seed(5)
    z = q.sample(2)
    torch.manual_seed(5)
    torch.testing.assert_close(estimator(q, cost, X).tuning, ((cost(z) - predicted) ** 2).mean(0))
    assert warm("moving_average")(q, cost, X).tuning is None


def test_network_learns_the_expected_cost():
    q, cost = Bernoulli(torch.tensor([[2.0, 2.0], [-2.0, -2.0]], dtype=torch.float64)), Nonlinear((1.5, 0.5))
    estimator = Reinforce(k=1024, baseline="network", hidden=16).double()
    estimator(q, cost, X)  # materialises the lazy layer
    optimiser = torch.optim.Adam(estimator.parameters(), lr=0.03)
    for _ in range(300):
        estimate = estimator(q, cost, X)
        optimiser.zero_grad()
        estimate.tuning.mean().backward()
        optimiser.step()
        estimator.update(estimate)
    expected = true_gradient(q, cost).cost
    assert (expected[0] - expected[1]).abs() > 0.3
    torch.testing.assert_close(estimator.baseline(X).detach(), expected, rtol=0, atol=0.1)


@pytest.mark.parametrize("baseline", ["none", "constant", "moving_average", "network"])
def test_normalising_divides_the_score_by_the_running_deviation(baseline):
    q, cost = small_latents()["bernoulli"]
    large = Reinforce(baseline=baseline, value=1.0, decay=0.0, hidden=5, normalise=True).double()
    big = Nonlinear((9.0, -7.0))
    estimate = large(q, big, X)
    centre = 1.0 if baseline == "constant" else 0.0
    squares = (estimate.cost.detach() - centre) ** 2 if baseline != "network" else estimate.tuning.detach()
    large.update(estimate)  # decay 0: the statistics are those of this batch
    scale = squares.mean().sqrt()
    assert scale > 1.5
    assert not large.unbiased
    truth, moments = true_gradient(q, cost), exact_moments(large, q, cost, X, 1)
    torch.testing.assert_close(moments.mean * scale, truth.mean)
    torch.testing.assert_close(moments.decoder, truth.decoder)  # only the score is scaled

    small = Reinforce(baseline=baseline, decay=0.0, hidden=5, normalise=True).double()
    small(q, cost, X)  # materialises the lazy layer
    small.square.centre.fill_(0.5)  # below 1: left alone
    assert_exactly_unbiased(small, q, cost, X, 1)


@pytest.mark.parametrize("preset", ["nvil", "reinforce_constant", "reinforce_moving_average"])
def test_presets_are_reinforce_with_a_baseline(preset):
    config = OmegaConf.load(Path(__file__).parents[2] / "conf" / "estimator" / f"{preset}.yaml")
    estimator = instantiate(config).double()
    q, cost = small_latents()["bernoulli"]
    assert type(estimator.baseline).__name__.lower() in config.baseline.replace("_", "")
    assert estimator.unbiased == (preset != "nvil")
    assert estimator(q, cost, X).loss.shape == (2,)


@pytest.mark.parametrize(("hyper", "word"), [({"k": 0}, "k >= 1"), ({"baseline": "mean"}, "moving_average")])
def test_reinforce_says_what_is_possible(hyper, word):
    with pytest.raises(ValueError, match=word):
        Reinforce(**hyper)


def test_moving_average_refuses_a_decay_of_one():
    with pytest.raises(ValueError, match="below 1"):
        Reinforce(baseline="moving_average", decay=1.0)
