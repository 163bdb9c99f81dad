"""What ties the estimators of K-sample bounds to each other, sample by sample."""

import math

import pytest
import torch

from estimators import Gaussian
from estimators.bounds import bound
from estimators.dreg import Dreg
from estimators.iwae import IWAE, IwaeStl
from estimators.ovis import OVIS
from estimators.stl import STL
from estimators.vimco import VIMCO
from estimators.wake_sleep import ReweightedWakeSleep
from tests.support.bounds import DISCRETE, OneCoordinate, X, label, true_bound, weights_cost
from tests.support.costs import Quadratic, SampledKL, small_latents
from tests.support.enumerate import exact_moments, outcomes, replay


def gradients(estimator, q, cost, noise):
    """Per-outcome gradients `[J, B, *]` at the given draws `[draws, J, B, *]`."""
    replicas = replay(q, noise)
    return torch.autograd.grad(estimator(replicas, cost, X).loss.sum(), replicas.params)[0]


@pytest.mark.parametrize("family", ["gaussian", *DISCRETE])
def test_vimco_at_two_samples_has_one_baseline(family):
    q, cost = weights_cost(family)
    noise = outcomes(q, 2)[0]
    both = [gradients(VIMCO(k=2, mean=mean), q, cost, noise) for mean in ("arithmetic", "geometric")]
    torch.testing.assert_close(*both, rtol=0, atol=1e-12)
    noise = torch.cat([noise, noise.flip(1)[:1]])
    three = [gradients(VIMCO(k=3, mean=mean), q, cost, noise) for mean in ("arithmetic", "geometric")]
    assert (three[0] - three[1]).abs().max() > 1e-3


@pytest.mark.parametrize("estimator", [Dreg(k=1), IwaeStl(k=1)], ids=label)
def test_at_one_sample_they_are_stl(estimator):
    q, cost = weights_cost("gaussian")
    noise = outcomes(q, 1)[0]
    expected = gradients(STL(), q, cost, noise)
    torch.testing.assert_close(gradients(estimator, q, cost, noise), expected, rtol=0, atol=1e-12)
    assert (gradients(IWAE(k=1), q, cost, noise) - expected).abs().max() > 1e-3


def test_no_variance_at_the_posterior():
    """(z - k)^2 under a standard normal prior has the posterior N(2k / 3, 1 / 3)."""
    q = Gaussian(torch.tensor([[2 * 0.7 / 3, -0.5 * math.log(3)]], dtype=torch.float64))
    cost = SampledKL(Quadratic(0.7), q)
    for estimator in (Dreg(k=3), IwaeStl(k=3)):
        assert exact_moments(estimator, q, cost, X, 3).variance.max() < 1e-24
    assert exact_moments(IWAE(k=3), q, cost, X, 3).variance.min() > 1e-2  # its score of q stays


def test_dreg_and_iwae_agree_in_the_mean_at_more_samples():
    """Paired over 200,000 draws; a relative difference of the mean of a few per cent would be found."""
    q, cost = small_latents()["gaussian"]
    cost = SampledKL(cost, q)
    replicas = q.with_params(q.params.expand(200_000, *q.params.shape).clone().requires_grad_())

    def sampled(estimator):
        torch.manual_seed(5)
        return torch.autograd.grad(estimator(replicas, cost, X).loss.sum(), replicas.params)[0]

    def z(first, second):
        difference = first - second
        return difference.mean(0) / (difference.std(0) / len(difference) ** 0.5)

    dreg, iwae, stl = (sampled(e) for e in (Dreg(k=5), IWAE(k=5), IwaeStl(k=5)))
    assert z(dreg, iwae).abs().max() < 4.5
    assert z(stl, iwae).abs().max() > 20


def test_wake_sleep_follows_the_posterior_as_the_samples_grow():
    """The bias against the score under p(z|x) halves as K doubles."""
    q, cost = weights_cost("bernoulli")
    q = q.with_params(q.params[..., :1])
    cost = SampledKL(OneCoordinate(), q)
    states = q.enumerate()  # [2, 1, 1]
    posterior = torch.softmax(-cost(states) + q.log_prob(states), 0)  # w q = p(x, z)
    limit = -(posterior * (states[..., 0] - q.probs[:, 0])).sum()  # -E d log q under the posterior
    bias = [exact_moments(ReweightedWakeSleep(k=k), q, cost, X, k).mean - limit for k in (5, 10)]
    assert (bias[0] / bias[1]).item() == pytest.approx(2, abs=0.25)
    assert bias[0].abs().item() > 1e-4


@pytest.mark.parametrize("gamma", [0.0, 0.3, 1.0])
def test_ovis_is_its_control_variate(gamma):
    """Against the formula with the mean of the others written out; its bias is gamma times reweighted wake-sleep."""
    q, cost = weights_cost("bernoulli")
    k, noise = 3, outcomes(q, 3)[0]
    c = cost(noise).detach()  # [K, J, 1]
    others = torch.stack([torch.cat([c[:i], c[i + 1 :]]).neg().exp().mean(0).log() for i in range(k)])
    v = torch.softmax(-c, 0)
    baseline = others - gamma * v + (1 - gamma) * math.log(1 - 1 / k)
    signal = bound(c) - v - baseline
    expected = -(signal[..., None] * (noise - q.probs)).sum(0)
    torch.testing.assert_close(gradients(OVIS(k=k, gamma=gamma), q, cost, noise), expected, rtol=0, atol=1e-12)
    ovis, wake = (exact_moments(e, q, cost, X, k).mean for e in (OVIS(k=k, gamma=gamma), ReweightedWakeSleep(k=k)))
    torch.testing.assert_close(ovis, true_bound(q, cost, k).mean + gamma * wake, rtol=0, atol=1e-12)
    assert OVIS(k=k, gamma=gamma).unbiased == (gamma == 0)
