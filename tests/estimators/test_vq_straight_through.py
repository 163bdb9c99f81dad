"""Straight-through past the quantisation: what the decoder sees, and who gets which gradient."""

import pytest
import torch

from estimators import VQ, Bernoulli
from estimators.vq_straight_through import VQStraightThrough

TEMPERATURES = [0.0, 0.7]


def make(temperature, batch=(5,)):
    codebook = torch.randn(6, 2, dtype=torch.float64, requires_grad=True)
    return VQ(torch.randn(*batch, 3, 2, dtype=torch.float64, requires_grad=True), codebook, temperature)


def decoder_input(q, z):
    """What a decoder reads at the points `z [K, ..., B, N, C (+ d)]`, by the contract of `place`."""
    codes = q.codebook.shape[0]
    return q.quantised(z[..., :codes]) + (z[..., codes:] if z.shape[-1] > codes else 0)


def interacting(vectors):
    """A cost of vectors `[K, ..., B, N, d]` in which every pair of positions interacts."""
    flat = vectors.flatten(-2)
    return flat.prod(-1) + flat.sum(-1).sin() + (flat[..., 0] * flat[..., -1]).exp()


class Recorded:
    """The interacting cost of the decoder's input, which keeps the points it was asked about."""

    def __init__(self, q):
        self.q, self.weight, self.seen = q, torch.tensor(1.3, dtype=torch.float64, requires_grad=True), []

    def __call__(self, z, q=None):
        vectors = decoder_input(self.q, z)
        self.seen.append(vectors.detach())
        return interacting(self.weight * vectors)


@pytest.mark.parametrize("temperature", TEMPERATURES)
@pytest.mark.parametrize("batch", [(5,), (2, 5)])
def test_the_decoder_sees_codes_and_the_vector_gets_their_slope(temperature, batch):
    q = make(temperature, batch)
    torch.manual_seed(3)
    codes = q.quantised(q.sample(3)).detach().requires_grad_()  # [K, ..., B, N, d]
    cost = Recorded(q)
    torch.manual_seed(3)
    estimate = VQStraightThrough(k=3)(q, cost, None)
    assert torch.equal(cost.seen[0], codes)
    value = interacting(cost.weight * codes).mean(0)
    torch.testing.assert_close(estimate.cost, value, rtol=0, atol=0)
    slopes, decoder = torch.autograd.grad(value.sum(), [codes, cost.weight])
    got = torch.autograd.grad(estimate.loss.sum(), [q.params, cost.weight, q.codebook], allow_unused=True)
    torch.testing.assert_close(got[0], slopes.sum(0), rtol=0, atol=1e-12)
    torch.testing.assert_close(got[1], decoder, rtol=1e-12, atol=0)
    assert got[2] is None or not got[2].any()


def test_nearest_codes_at_temperature_0_and_samples_of_q_above():
    nearest = make(0.0)
    cost = Recorded(nearest)
    VQStraightThrough()(nearest, cost, None)
    index = torch.cdist(nearest.params, nearest.codebook).argmin(-1)
    assert torch.equal(cost.seen[0][0], nearest.codebook[index])

    q = make(0.7, (1,))
    cost = Recorded(q)
    VQStraightThrough(k=100_000)(q, cost, None)
    frequency = (cost.seen[0][..., None, :] == q.codebook).all(-1).double().mean(0)[0]  # [N, C]
    squares = (q.params.detach()[0, :, None] - q.codebook.detach()).square().sum(-1)
    probs = (-squares / 0.7).softmax(-1)
    error = (probs * (1 - probs) / 100_000).sqrt()
    assert ((frequency - probs) / error).abs().max() < 4.5


@pytest.mark.parametrize("temperature", TEMPERATURES)
def test_forward_is_pure_and_repeatable(temperature):
    q, estimator = make(temperature), VQStraightThrough(k=2)
    losses = []
    for _ in range(2):
        torch.manual_seed(3)
        losses.append(estimator(q, Recorded(q), None).loss)
    assert torch.equal(*losses)
    assert estimator.state_dict() == {}


def test_refusals():
    estimator = VQStraightThrough()
    assert estimator.refuses(make(0.0)) is None
    assert "made for vq" in estimator.refuses(Bernoulli(torch.zeros(1, 3)))
    with pytest.raises(ValueError, match="k >= 1; got k=0"):
        VQStraightThrough(k=0)
