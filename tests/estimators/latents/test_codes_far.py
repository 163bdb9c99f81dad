"""Vector quantisation far from zero and at small scales: float32 against float64 of the same inputs."""

import pytest
import torch

import bench
from estimators import VQ
from estimators.ibq import IBQ
from estimators.latents.vq import closeness
from tests.support.injection import gradient

N, CODES, WIDTH = 5000, 64, 8


def case(offset, scale=1.0, away=0.0, seed=0):
    """Vectors `[1, N, d]` and codes `[C, d]` in float32, both at this offset, the vectors `away` from the codes."""
    generator = torch.Generator().manual_seed(seed)
    vectors, codes = (torch.randn(n, WIDTH, generator=generator, dtype=torch.float64) for n in (N, CODES))
    return (offset + away + scale * vectors).float().unsqueeze(0), (offset + scale * codes).float()


def squares(vectors, codes):
    """Squared distances `[N, C]` in float64."""
    return (vectors[0].double().unsqueeze(1) - codes.double()).square().sum(-1)


def bound(vectors, codes):
    """What rounding may add to a squared distance `[N, 1]`, in float32, relative to the mean code."""
    centre = codes.double().mean(0)
    reach = (vectors[0].double() - centre).norm(dim=-1, keepdim=True) + (codes.double() - centre).norm(dim=-1).max()
    return 4 * torch.finfo(torch.float32).eps * reach**2


CASES = [(offset, 1.0, 0.0) for offset in (0.0, 100.0, -1_000.0, 10_000.0)] + [
    (0.0, 1e-4, 0.0),  # small codes
    (1.0, 1e-4, 0.0),
    (0.0, 1.0, 100.0),  # vectors far from the codes
    (1_000.0, 1.0, 30.0),
    (0.0, 1e4, 0.0),
]


@pytest.mark.parametrize(("offset", "scale", "away"), CASES)
def test_the_nearest_code_is_the_nearest(offset, scale, away):
    vectors, codes = case(offset, scale, away)
    truth = squares(vectors, codes)
    chosen = VQ(vectors, codes).nearest()[0].argmax(-1, keepdim=True)
    excess = truth.gather(-1, chosen) - truth.amin(-1, keepdim=True)
    assert (excess <= bound(vectors, codes)).all()
    assert (excess > 0).float().mean() <= 2e-4  # true ties, to the last digits, are as rare as that


@pytest.mark.parametrize(("offset", "scale", "away"), [c for c in CASES if c[1] <= 1 and c[2] <= 30])
def test_probabilities_and_slopes(offset, scale, away):
    vectors, codes = case(offset, scale, away)
    vectors = vectors[:, :500]
    temperature = scale**2
    found = VQ(vectors.requires_grad_(), codes, temperature)
    exact = VQ(vectors.detach().double().requires_grad_(), codes.double(), temperature)
    expected = (-squares(vectors, codes) / temperature).softmax(-1)
    assert (found.probs[0] - expected).abs().max() < 1e-3
    assert (exact.probs[0] - expected).abs().max() < 1e-8
    z = exact.sample(1)
    slopes = [torch.autograd.grad(q.log_prob(z.to(q.params.dtype)).sum(), q.params)[0] for q in (found, exact)]
    assert (slopes[0] - slopes[1]).abs().max() < 1e-3 * slopes[1].abs().max()


def test_duplicate_codes_are_a_tie():
    vectors, codes = case(1_000.0)
    z = VQ(vectors, torch.cat([codes, codes])).nearest()
    assert torch.equal(z[..., :CODES], VQ(vectors, codes).nearest())
    scores = closeness(vectors, torch.cat([codes, codes]))
    torch.testing.assert_close(scores[..., :CODES], scores[..., CODES:], rtol=0, atol=0)


@pytest.mark.parametrize("offset", [100.0, 10_000.0])
def test_ibq_far_from_zero(offset):
    """Its gradient to vectors and codes is that of float64."""
    vectors, codes = case(offset)
    vectors, weights = vectors[:, :50], torch.linspace(-1, 1, CODES)
    found = []
    for dtype in (torch.float32, torch.float64):
        q = VQ(vectors.to(dtype).requires_grad_(), codes.to(dtype).requires_grad_(), 0)
        loss = IBQ()(q, lambda z, q=None: (z @ weights.to(z.dtype)).sum(-1), None).loss.sum()
        found.append(torch.autograd.grad(loss, [q.params, q.codebook]))
    for ours, exact in zip(*found, strict=True):
        assert (ours - exact).abs().max() < 2e-3 * exact.abs().max()


def test_estimates_do_not_depend_on_the_origin():
    """Moved together, vectors and codes leave every difference as it is, also of the logits themselves."""
    vectors, codes = (t.double() for t in case(0.0))
    vectors, weights = vectors[:, :3], torch.linspace(-1, 2, CODES, dtype=torch.float64)
    for option in ("straight_through_identity", "spsa", "evolution", "rebar", "reinmax"):
        found = []
        for offset in (0.0, 7.0):
            torch.manual_seed(1)
            q = VQ((vectors + offset).requires_grad_(), codes + offset, 2.0)
            found.append(gradient(bench.estimator(option).double(), q, lambda z, q=None: (z @ weights).sum(-1) ** 2))
        torch.testing.assert_close(*found, rtol=0, atol=1e-9)
