"""ARM, ARMS and bitflip: exact means and variances over every region of their uniform noise, and their identities."""

import math

import pytest
import torch

from estimators import Bernoulli, Estimate, as_loss
from estimators.arm import Arm
from estimators.arms import Arms, decorrelation, dirichlet_copula
from estimators.bitflip import Bitflip
from estimators.disarm import Disarm
from tests.support.costs import Nonlinear, SampledKL, small_latents, three_bits
from tests.support.enumerate import assert_pure
from tests.support.injection import (
    X,
    assert_exact,
    assert_replicas_equal_a_loop_and_vmap,
    assert_unbiased,
    gradient,
    injected,
    replicated,
)
from tests.support.regions import over_copula, over_flips, over_pairs

EVERY = {"arm": Arm(4), "arms": Arms(2), "bitflip": Bitflip(4)}  # each takes two rows of noise
OTHER_BITS = Bernoulli(torch.tensor([[2.5, 0.0, -1.2]], dtype=torch.float64))


CASES = [(Arm, 2, over_pairs), (Arm, 4, over_pairs), (Bitflip, 2, over_flips), (Bitflip, 4, over_flips)]
CASES += [(Arms, k, over_copula) for k in (2, 3, 4)]


def outcomes(over, q, k):
    return over(q, k if over is over_copula else k // 2)


@pytest.mark.parametrize("kl", ["analytic", "sampled"])
@pytest.mark.parametrize("bits", [three_bits(), OTHER_BITS], ids=["three_bits", "other_bits"])
@pytest.mark.parametrize(("estimator", "k", "over"), CASES)
def test_exactly_unbiased(estimator, k, over, bits, kl):
    cost = SampledKL(Nonlinear(), bits) if kl == "sampled" else Nonlinear()
    q, weights = outcomes(over, bits, k)
    assert_exact(estimator(k), q, weights, cost)


class ScoredBits(Arm):
    """Planted error: the score of the bit where that of its noise belongs."""

    def forward(self, q, cost, x):
        u = q.uniform(self.k // 2)
        b, antithetic = ((v > torch.sigmoid(-q.logits.detach())).to(u.dtype) for v in (u, 1 - u))
        slope = ((cost(b) - cost(antithetic)).unsqueeze(-1) * (b - q.probs)).mean(0)
        return Estimate(as_loss(q, slope) + cost(b).mean(0), cost(b).mean(0))


class Uncorrected(Arms):
    """Planted error: the leave-one-out estimate as if the samples were independent."""

    def forward(self, q, cost, x):
        estimate = super().forward(q, cost, x)
        (slope,) = torch.autograd.grad(estimate.loss.sum(), q.params, retain_graph=True)
        return estimate._replace(loss=as_loss(q, slope / decorrelation(q.logits.detach(), self.k)) + estimate.cost)


class OnlyChosen(Bitflip):
    """Planted error: a bit is chosen with probability 1/D, and nothing makes up for it."""

    def forward(self, q, cost, x):
        estimate = super().forward(q, cost, x)
        return estimate._replace(loss=estimate.loss / q.logits.shape[-1])


@pytest.mark.parametrize(
    ("planted", "k", "over"), [(ScoredBits, 2, over_pairs), (Uncorrected, 3, over_copula), (OnlyChosen, 2, over_flips)]
)
def test_planted_errors_are_rejected(planted, k, over):
    q, weights = outcomes(over, three_bits(), k)
    with pytest.raises(AssertionError, match="q:"):
        assert_exact(planted(k), q, weights, Nonlinear())


@pytest.mark.parametrize("bits", [three_bits(), OTHER_BITS], ids=["three_bits", "other_bits"])
def test_disarm_is_the_mean_of_arm_given_the_bits(bits):
    q, weights = over_pairs(bits, 1)
    cost, size = Nonlinear(), 3
    arm, disarm = (gradient(estimator, q, cost).squeeze(1) for estimator in (Arm(), Disarm()))  # [R, D]
    cells = [n for _ in range(size) for n in (3, 2)]  # the region and the node of each bit's u
    nodes = tuple(range(1, 2 * size, 2))
    over_nodes = [(weights[:, None] * each).view(*cells, size).sum(nodes) for each in (arm, disarm)]
    torch.testing.assert_close(*over_nodes, rtol=0, atol=1e-14)
    torch.testing.assert_close(disarm.view(*cells, size).diff(dim=1).abs().max().item(), 0.0)  # one value per pair
    variances = [assert_exact(estimator, q, weights, cost) for estimator in (Disarm(), Arm())]
    assert (variances[0] < variances[1]).all()  # Rao-Blackwell
    if bits is not OTHER_BITS:
        assert variances[0].sum().item() == pytest.approx(0.7575449097, abs=1e-9)
        q, weights = over_copula(bits, 2)
        assert assert_exact(Arms(2), q, weights, cost).sum().item() == pytest.approx(0.7575449097, abs=1e-9)


def test_arms_of_two_is_disarm_draw_by_draw():
    q = Bernoulli(torch.randn(50, 3, dtype=torch.float64).requires_grad_())
    u = q.uniform(2)
    first, second = dirichlet_copula(u)
    torch.testing.assert_close(first + second, torch.ones_like(first), rtol=0, atol=1e-15)
    pair = torch.where(q.logits < 0, second, first)[None]  # which of the two Disarm starts from is a matter of names
    arms = gradient(Arms(2), injected(q, uniform=[u]), Nonlinear())
    torch.testing.assert_close(arms, gradient(Disarm(), injected(q, uniform=[pair]), Nonlinear()), rtol=0, atol=1e-12)


@pytest.mark.parametrize("k", [2, 3, 5])
def test_the_copula(k):
    """Each sample is uniform, and the sets of rarer values are as frequent as the exact proofs assume."""
    draws, (q, weights) = 200_000, over_copula(OTHER_BITS, k)
    sampled = dirichlet_copula(replicated(OTHER_BITS, draws).uniform(k)).squeeze(2)  # [K, R, D]
    for power in (1, 2, 3):  # moments of a uniform
        scores = (sampled**power - 1 / (power + 1)).mean(1) / (sampled**power).std(1) * draws**0.5
        assert scores.abs().max() < 4.5
    rarer, sizes = torch.sigmoid(-OTHER_BITS.logits.abs()), torch.arange(k + 1)[:, None, None]
    expected = weights @ ((dirichlet_copula(q.uniform(k)).squeeze(2) < rarer).sum(0) == sizes).double()  # [K + 1, D]
    found = ((sampled < rarer).sum(0) == sizes).double().mean(1)
    error = ((expected * (1 - expected)).clamp(min=0) / draws).sqrt()
    assert ((found - expected).abs() <= 4.5 * error + 1e-12).all()


def test_decorrelation():
    logits = torch.tensor([-800.0, -30.0, -1.0, 0.0, 2.0, 40.0, 800.0])
    for dtype in (torch.float32, torch.float64):
        for k in (2, 3, 10):
            factor = decorrelation(logits.to(dtype), k)
            assert ((factor > 0) & (factor <= 1)).all()
    torch.testing.assert_close(decorrelation(logits, 2), logits.abs().sigmoid())
    independent = decorrelation(logits[2:5].double(), 10**6)
    torch.testing.assert_close(independent, torch.ones_like(independent), rtol=0, atol=1e-5)


# The number bounds the smallest bias that |z| < 4.5 shows in every coordinate over these 200,000 draws.
@pytest.mark.parametrize("estimator", EVERY.values(), ids=EVERY)
def test_unbiased_with_sampled_noise(estimator):
    assert_unbiased(estimator, three_bits(), Nonlinear(), 0.007)


def test_bitflip_of_one_bit_has_no_noise():
    bit = Bernoulli(torch.tensor([[0.4], [-3.0]], dtype=torch.float64))
    cost = lambda z, q=None: (z[..., 0] - 0.3) ** 2 + (0.8 * z[..., 0]).exp()  # noqa: E731
    each = gradient(Bitflip(), replicated(bit, 50), cost)
    p = bit.probs
    slope = p * (1 - p) * (0.7**2 + math.exp(0.8) - 0.3**2 - 1)
    torch.testing.assert_close(each, slope.expand(50, 2, 1), rtol=1e-12, atol=0)


def test_bitflip_chooses_every_bit_alike():
    each = gradient(Bitflip(), replicated(three_bits(), 60_000), Nonlinear()).squeeze(1)
    assert ((each != 0).sum(1) == 1).all()
    assert (((each != 0).double().mean(0) - 1 / 3).abs() < 4.5 * (2 / 9 / 60_000) ** 0.5).all()


@pytest.mark.parametrize("estimator", EVERY.values(), ids=EVERY)
def test_draw_by_draw(estimator):
    q, cost = small_latents()["bernoulli"]
    assert_pure(estimator, q, cost, X)
    assert_replicas_equal_a_loop_and_vmap(estimator, q, 2, cost)
    live = q.with_params(q.params.detach().requires_grad_())

    def drawn(cost):
        torch.manual_seed(3)
        return gradient(estimator, live, cost)

    shifted = drawn(lambda z, q=None: cost(z) + 7)
    torch.testing.assert_close(shifted, drawn(cost), rtol=0, atol=1e-12)
    torch.testing.assert_close(drawn(lambda z, q=None: -3 * cost(z)), -3 * drawn(cost), rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("build", "sentence"),
    [
        (lambda: Arm(3), "even k >= 2; got k=3"),
        (lambda: Arms(1), "k >= 2; got k=1"),
        (lambda: Bitflip(0), "even k >= 2; got k=0"),
    ],
)
def test_refused_arguments(build, sentence):
    with pytest.raises(ValueError, match=sentence):
        build()
