"""Probabilities near 0 and 1: both outcomes, divergences and slopes to their own last digits, against 60 decimals."""

import math

import mpmath
import pytest
import torch

from estimators import Bernoulli, Categorical, Gaussian
from estimators.latents.categorical import log_probabilities

mpmath.mp.dps = 400  # exp(-700) beside 1
LOGITS = [19.5, 20.5, 25.0, 40.0, 100.0, 700.0]
SIGNED = [sign * logit for logit in LOGITS for sign in (1, -1)]
DTYPES = [torch.float32, torch.float64]


def close(got, expected, dtype, ulps=8):
    """Equal up to rounding in this type; what it cannot hold at all may be 0."""
    info, expected = torch.finfo(dtype), float(expected)
    assert got == pytest.approx(expected, rel=ulps * info.eps, abs=info.tiny)


def log_p(logit):
    """log sigmoid."""
    return -mpmath.log(1 + mpmath.exp(-mpmath.mpf(logit)))


def bit(logit, dtype):
    return Bernoulli(torch.tensor([[logit]], dtype=dtype, requires_grad=True))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("logit", SIGNED)
def test_log_prob_and_score_of_both_outcomes(logit, dtype):
    q = bit(logit, dtype)
    for value, sign in ((1.0, 1), (0.0, -1)):
        z = torch.full((1, 1, 1), value, dtype=dtype)
        found = q.log_prob(z)
        close(found.item(), log_p(sign * logit), dtype)
        (slope,) = torch.autograd.grad(found.sum(), q.params)
        expected = sign * mpmath.exp(log_p(-sign * logit))
        close(slope.item(), expected, dtype)
        close(q.score(z).item(), expected, dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("prior", [0.0, 3.0, -26.0, 41.0])
@pytest.mark.parametrize("logit", SIGNED)
def test_kl_of_bits(logit, prior, dtype):
    q, p = bit(logit, dtype), Bernoulli(torch.tensor([[prior]], dtype=dtype))
    parts = [mpmath.exp(log_p(s * logit)) * (log_p(s * logit) - log_p(s * prior)) for s in (1, -1)]
    got = q.kl(p)
    scale = max(abs(float(part)) for part in parts)  # what cancels between the outcomes is rounding of the larger one
    assert got.item() == pytest.approx(float(sum(parts)), rel=1e-12, abs=8 * torch.finfo(dtype).eps * scale)
    (slope,) = torch.autograd.grad(got.sum(), q.params)
    variance = mpmath.exp(log_p(logit) + log_p(-logit))
    expected = float(variance * (mpmath.mpf(logit) - mpmath.mpf(prior)))
    bound = 64 * torch.finfo(dtype).eps * float(variance) * max(abs(logit), abs(prior))
    assert slope.item() == pytest.approx(expected, abs=bound + torch.finfo(dtype).tiny)
    if prior == 0:
        entropy = -sum(mpmath.exp(log_p(s * logit)) * log_p(s * logit) for s in (1, -1))
        close(got.item(), mpmath.log(2) - entropy, dtype)
        close(q.kl().item(), mpmath.log(2) - entropy, dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("logit", LOGITS)
def test_categories_of_which_one_is_nearly_certain(logit, dtype):
    """[logit, 0, -1]: log-probabilities, slopes and the divergence from uniform."""
    logits = torch.tensor([[logit, 0.0, -1.0]], dtype=dtype, requires_grad=True)
    q = Categorical(logits.unsqueeze(0))
    values = [mpmath.mpf(v) for v in (logit, 0, -1)]
    total = sum(mpmath.exp(v) for v in values)
    probs = [mpmath.exp(v) / total for v in values]
    z = torch.eye(3, dtype=dtype).view(3, 1, 1, 3)
    found, score = q.log_prob(z), q.score(z)
    for c in range(3):
        others = sum(p for i, p in enumerate(probs) if i != c)
        close(found[c].item(), mpmath.log(1 - others) if c == 0 else values[c] - mpmath.log(total), dtype)
        (slope,) = torch.autograd.grad(found[c].sum(), logits, retain_graph=True)
        for i in range(3):
            expected = others if i == c else -probs[i]
            close(slope[0, i].item(), expected, dtype, 16)
            close(score[c, 0, 0, i].item(), expected, dtype, 16)
    entropy = -sum(p * mpmath.log(p) for p in probs)
    close(q.kl().item(), mpmath.log(3) - entropy, dtype)


def test_log_probabilities_are_those_of_torch_elsewhere():
    logits = torch.randn(1000, 5, dtype=torch.float64).mul(3).requires_grad_()
    ours, theirs = log_probabilities(logits), logits.log_softmax(-1)
    torch.testing.assert_close(ours, theirs, rtol=1e-13, atol=1e-13)
    weights = torch.randn_like(ours)
    slopes = [torch.autograd.grad((weights * found).sum(), logits)[0] for found in (ours, theirs)]
    torch.testing.assert_close(*slopes, rtol=0, atol=1e-13)
    halves = torch.zeros(1, 2, dtype=torch.float64, requires_grad=True)  # where neither formula is preferred
    (slope,) = torch.autograd.grad(log_probabilities(halves)[0, 0], halves)
    torch.testing.assert_close(slope, torch.tensor([[0.5, -0.5]], dtype=torch.float64))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("logit", SIGNED)
def test_jacobian_ignores_what_is_common_to_all_slopes(logit, dtype):
    """Costs 100 and 101: p (1 - p), of bits and of two categories."""
    variance = mpmath.exp(log_p(logit) + log_p(-logit))
    close(bit(logit, dtype).jacobian(torch.ones(1, 1, dtype=dtype)).item(), variance, dtype)
    pair = Categorical(torch.tensor([[[logit, 0.0]]], dtype=dtype))
    got = pair.jacobian(torch.tensor([[[101.0, 100.0]]], dtype=dtype)).flatten()
    close(got[0].item(), variance, dtype)
    close(got[1].item(), -variance, dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("noise", [0.01, 0.5, 0.97])
@pytest.mark.parametrize("logit", [20.5, -20.5, 25.0, -25.0, 80.0, -80.0])
def test_noise_given_the_bit(logit, noise, dtype):
    """logit + logit(u) with u uniform above or below 1 - p, and its slope, for both values of the bit."""
    v = mpmath.mpf(float(torch.tensor(noise, dtype=dtype)))

    def conditional(value, at):
        p = 1 / (1 + mpmath.exp(-at))
        u = 1 - p + p * v if value else (1 - p) * v
        return at + mpmath.log(u / (1 - u))

    for value in (0.0, 1.0):
        q = bit(logit, dtype)
        q.uniform = lambda k: torch.full((1, 1, 1), noise, dtype=dtype)
        z = torch.full((1, 1, 1), value, dtype=dtype)
        found = q.conditional(z)
        close(found.item(), conditional(value, mpmath.mpf(logit)), dtype, 32)
        (slope,) = torch.autograd.grad(found.sum(), q.params)
        with mpmath.workdps(200):
            close(slope.item(), mpmath.diff(lambda at, b=value: conditional(b, at), logit), dtype, 256)


@pytest.mark.parametrize(
    ("log_std", "dtype"),
    [(-110.0, torch.float32), (-80.0, torch.float32), (40.0, torch.float32)]
    + [(value, torch.float64) for value in (-800.0, -300.0, -40.0, 40.0, 300.0)],
)
def test_gaussians_of_extreme_width(log_std, dtype):
    q = Gaussian(torch.tensor([[0.0, log_std]], dtype=dtype, requires_grad=True))
    noise = 1.5 if q.std.item() > torch.finfo(dtype).tiny else 0.0  # below, a sample is the mean
    z = (noise * q.std.detach()).unsqueeze(0)
    found = q.log_prob(z)
    assert found.item() == pytest.approx(-(noise**2) / 2 - log_std - math.log(2 * math.pi) / 2, rel=1e-6)
    slope = torch.autograd.grad(found.sum(), q.params)[0][0, 1]
    assert slope.item() == pytest.approx(noise**2 - 1, rel=1e-5)
    same = q.kl(q.detach())
    assert same.item() == 0
    if log_std < 0:
        assert q.kl().item() == pytest.approx((math.exp(2 * log_std) - 1) / 2 - log_std, rel=1e-6)
        torch.testing.assert_close(torch.autograd.grad(q.kl().sum(), q.params)[0][0, 1].item(), -1.0)
