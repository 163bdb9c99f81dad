"""The VR-IWAE bound and VIMCO-*: exact means over all K-tuples of samples, identities at both ends, the SNR in K."""

import math
from unittest import mock

import pytest
import torch

import bench
from estimators import Bernoulli, Gaussian
from estimators.bounds import bound
from estimators.dreg import Dreg
from estimators.iwae import IWAE
from estimators.ovis import OVIS
from estimators.reparam import Reparam
from estimators.rloo import RLOO
from estimators.stl import STL
from estimators.vimco import VIMCO
from estimators.vr_iwae import VRIWAE, VRVIMCO, VRDreg, renyi_bound
from tests.support.bounds import DISCRETE, OneCoordinate, X, weights_cost
from tests.support.costs import SampledKL, small_latents
from tests.support.enumerate import exact_moments, outcomes
from tests.support.injection import drawn, live, replicated

ALPHAS = [0.0, 0.2, 0.7, 0.99, 1.0]
PATHWISE = (VRIWAE, VRDreg)


def true_bound(q, cost, k, alpha, nodes=30):
    """The gradients of -E L_alpha, from the density of K points that do not move: q lives in it and in log w alone."""
    moving = live(q)
    points, weights = outcomes(q, k, nodes)  # [K, J, B, *], [J]
    points = q.mean + q.std * points if isinstance(q, Gaussian) else points
    ratio = (moving.log_prob(points) - q.log_prob(points).detach()).sum((0, -1)).exp()  # [J], all 1
    c = cost(points, moving)
    values = -c.mean(0) if alpha == 1 else (-(1 - alpha) * c).exp().mean(0).log() / (1 - alpha)
    expected = weights * ratio @ -values  # [B]
    return *torch.autograd.grad(expected.sum(), [moving.params, *cost.parameters()]), expected.detach()


def assert_unbiased(estimator, q, cost, tolerance=1e-8):
    found = exact_moments(estimator, q, cost, X, estimator.k, 30)
    truth = true_bound(q, cost, estimator.k, estimator.alpha)
    for name, got, expected in zip(
        ("q", "decoder", "cost"), (found.mean, found.decoder, found.cost), truth, strict=True
    ):
        torch.testing.assert_close(got, expected, rtol=0, atol=tolerance, msg=lambda m, n=name: f"{n}: {m}")


@pytest.mark.parametrize("alpha", ALPHAS)
@pytest.mark.parametrize("k", [2, 3])
@pytest.mark.parametrize("family", DISCRETE)
def test_the_score_estimator_is_exactly_unbiased_for_its_bound(family, k, alpha):
    q, cost = weights_cost(family)
    assert_unbiased(VRVIMCO(k, alpha), q, cost)
    assert VRVIMCO(k, alpha).unbiased == (alpha == 0)
    other = true_bound(q, cost, k, 0.5)[0]  # the gradient of another bound is told apart
    assert (true_bound(q, cost, k, alpha)[0] - other).abs().max() > 1e-4


@pytest.mark.parametrize("alpha", [0.0, 0.4])
def test_a_baseline_with_the_own_sample_in_it_is_rejected(alpha):
    q, cost = weights_cost("categorical")
    own = mock.patch("estimators.vr_iwae.log_others", lambda c: (-c).logsumexp(0).expand_as(c))
    with own, pytest.raises(AssertionError, match="q:"):
        assert_unbiased(VRVIMCO(2, alpha), q, cost)


@pytest.mark.parametrize("alpha", ALPHAS)
@pytest.mark.parametrize("estimator", [*PATHWISE, VRVIMCO])
def test_gaussian_estimators_are_unbiased_to_the_quadrature(estimator, alpha):
    q, cost = weights_cost("gaussian")
    assert_unbiased(estimator(2, alpha), q, cost, 1e-7)


@pytest.mark.parametrize("family", ["gaussian", *DISCRETE])
@pytest.mark.parametrize(
    ("made", "expected", "families"),
    [
        (VRIWAE(5, 0.0), IWAE(5), ("gaussian",)),
        (VRIWAE(5, 1.0), Reparam(5), ("gaussian",)),
        (VRDreg(5, 0.0), Dreg(5), ("gaussian",)),
        (VRDreg(5, 1.0), STL(5), ("gaussian",)),
        (VRVIMCO(5, 0.0), OVIS(5, 0.0), ("gaussian", *DISCRETE)),
        (VRVIMCO(5, 1.0), RLOO(5), ("gaussian", *DISCRETE)),
    ],
)
def test_both_ends_are_known_draw_by_draw(made, expected, families, family):
    if family not in families:
        assert "made for gaussian" in made.refuses(small_latents()[family][0])
        return
    q, cost = small_latents()[family]
    q = replicated(q, 20)
    cost = SampledKL(cost, q)
    torch.testing.assert_close(drawn(made, q, cost), drawn(expected, q, cost), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(("estimator", "k"), [(VRIWAE, 4), (VRDreg, 4), (VRVIMCO, 4)])
def test_nothing_jumps_at_alpha_1(estimator, k):
    q, cost = small_latents()["gaussian"]
    q = replicated(q, 20)
    cost = SampledKL(cost, q)
    torch.testing.assert_close(
        drawn(estimator(k, 1 - 1e-8), q, cost), drawn(estimator(k, 1.0), q, cost), rtol=1e-5, atol=1e-5
    )


def test_the_bound_falls_from_iwae_to_the_elbo():
    c = 5 * torch.randn(6, 40, dtype=torch.float64)
    bounds = torch.stack([renyi_bound(c, a) for a in ALPHAS])
    assert (bounds.diff(dim=0) < 0).all()
    torch.testing.assert_close(bounds[0], bound(c), rtol=0, atol=1e-12)
    torch.testing.assert_close(bounds[-1], -c.mean(0), rtol=0, atol=1e-12)


def test_doubly_reparameterised_has_no_variance_at_the_posterior():
    """z^2 under a standard normal prior has the posterior N(0, 1 / 3)."""
    q = Gaussian(torch.tensor([[0.0, -0.5 * math.log(3)]], dtype=torch.float64))
    cost = SampledKL(OneCoordinate(), q)
    cost.cost.forward = lambda z, q=None: z[..., 0] ** 2 + 0 * cost.cost.weight
    assert exact_moments(VRDreg(3, 0.6), q, cost, X, 3).variance.max() < 1e-24
    assert exact_moments(VRIWAE(3, 0.6), q, cost, X, 3).variance.min() > 1e-3


def test_vimco_star_is_its_signal():
    """-(v + log(1 - v)) times the score, written out."""
    star, (q, cost) = bench.estimator("vimco_star", k=5), weights_cost("bernoulli")
    assert (type(star), star.gamma, star.unbiased) == (OVIS, 0.0, True)
    z = q.sample(5)
    moving = type("Held", (Bernoulli,), {"sample": lambda self, k: z})(q.params.clone().requires_grad_())
    v = torch.softmax(-cost(z).detach(), 0)
    expected = ((v + torch.log1p(-v)).unsqueeze(-1) * (z - q.probs)).sum(0)
    got = torch.autograd.grad(star(moving, cost, X).loss.sum(), moving.params)[0]
    torch.testing.assert_close(got, expected, rtol=0, atol=1e-12)


def snr(estimator):
    """Norm of the mean over the standard deviation of q's gradient, exactly: of one bit, only the number of ones among
    the samples matters."""
    k, q = estimator.k, Bernoulli(torch.tensor([[0.4]], dtype=torch.float64))
    cost = SampledKL(OneCoordinate(), q)
    ones = torch.arange(k + 1)
    z = (torch.arange(k)[:, None] < ones).double()[..., None, None]  # [K, K + 1, 1, 1]
    log_ways = math.lgamma(k + 1) - (ones + 1.0).lgamma() - (k - ones + 1.0).lgamma()
    weights = (log_ways.double() + q.log_prob(z).sum((0, -1))).exp()
    held = type("Held", (Bernoulli,), {"sample": lambda self, k: z})(
        q.params.expand(k + 1, 1, 1).clone().requires_grad_()
    )
    each = torch.autograd.grad(estimator(held, cost, X).loss.sum(), held.params)[0].flatten()
    weights = weights / weights.sum()
    mean = weights @ each
    return (mean.abs() / (weights @ (each - mean) ** 2).sqrt()).item()


def test_the_signal_to_noise_ratio_of_vimco_star_grows_as_the_root_of_k():
    """And that of VIMCO, with either mean, falls as one over it."""
    growth = {}
    for name, make in {
        "star": lambda k: OVIS(k, 0.0),
        "vimco": VIMCO,
        "arithmetic": lambda k: VIMCO(k, "arithmetic"),
    }.items():
        growth[name] = math.log(snr(make(1024)) / snr(make(64)), 16)
    assert growth["star"] == pytest.approx(0.5, abs=0.05)
    assert growth["vimco"] == pytest.approx(-0.5, abs=0.05)
    assert growth["arithmetic"] == pytest.approx(-0.5, abs=0.05)


@pytest.mark.parametrize("estimator", [*PATHWISE, VRVIMCO])
def test_refused_arguments(estimator):
    for alpha in (-0.1, 1.1):
        with pytest.raises(ValueError, match=f"alpha = 1; got alpha={alpha}"):
            estimator(alpha=alpha)
    with pytest.raises(ValueError, match="samples; got k=0"):
        estimator(k=0)
