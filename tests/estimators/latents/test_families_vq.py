"""Vector quantisation: the geometry of its posterior, its limits in temperature, and the points a decoder reads."""

import math

import pytest
import torch

from estimators.latents import VQ, Categorical

C, N, WIDTH = 6, 3, 2


@pytest.fixture(params=[torch.float32, torch.float64], ids=["f32", "f64"])
def dtype(request) -> torch.dtype:
    return request.param


def make(temperature: float, dtype: torch.dtype = torch.float64, batch: tuple[int, ...] = (2, 5)) -> VQ:
    params = torch.randn(*batch, N, WIDTH, dtype=dtype, requires_grad=True)
    return VQ(params, torch.randn(C, WIDTH, dtype=dtype, requires_grad=True), temperature)


def squares(q: VQ) -> torch.Tensor:
    """||vector - code||^2 `[..., B, N, C]`."""
    return (q.params[..., None, :] - q.codebook).square().sum(-1).detach()


def nearest(q: VQ) -> torch.Tensor:
    return torch.nn.functional.one_hot(squares(q).argmin(-1), C).to(q.params.dtype)


@pytest.mark.parametrize("temperature", [0.3, 1.0, 4.0])
def test_logits_are_negative_squared_distances_up_to_a_constant_per_position(temperature, dtype):
    q = make(temperature, dtype)
    constant = q.logits + squares(q) / temperature  # [..., B, N, C]
    torch.testing.assert_close(constant, constant.mean(-1, keepdim=True).expand_as(constant), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(q.probs, torch.softmax(-squares(q) / temperature, -1))
    assert torch.equal(q.natural, q.logits)


def test_temperature_limits():
    q = make(1.0)
    cold, hot = (VQ(q.params, q.codebook, t) for t in (1e-6, 1e9))
    torch.testing.assert_close(cold.probs, nearest(q))
    torch.testing.assert_close(hot.probs, torch.full_like(hot.probs, 1 / C))
    point = VQ(q.params, q.codebook, 0)
    torch.testing.assert_close(cold.kl(), point.kl())


def test_at_temperature_zero_q_is_the_nearest_code(dtype):
    q = make(0.0, dtype)
    assert q.deterministic
    z = q.sample(4)
    assert z.shape == (4, 2, 5, N, C)
    assert not z.requires_grad
    assert torch.equal(z, nearest(q).expand_as(z))
    assert q.with_params(q.params * 2).deterministic
    assert not make(0.1).deterministic


def test_kl_at_temperature_zero(dtype):
    q = make(0.0, dtype)
    torch.testing.assert_close(q.kl(), torch.full((2, 5), N * math.log(C), dtype=dtype))
    prior = Categorical(torch.randn(1, N, C, dtype=dtype))
    expected = -(nearest(q) * prior.params.log_softmax(-1)).sum((-2, -1))
    torch.testing.assert_close(q.kl(prior), expected)
    torch.testing.assert_close(q.kl(q.standard()), q.kl())


@pytest.mark.parametrize("ask", [lambda q: q.logits, lambda q: q.probs, lambda q: q.perturbed(2)])
def test_a_point_mass_has_no_logits(ask):
    with pytest.raises(ValueError, match="point mass"):
        ask(make(0.0))


def test_a_negative_temperature_is_refused():
    with pytest.raises(ValueError, match=r"0 \(nearest code\) or more; got -0.5"):
        make(-0.5)


def test_in_q_the_codebook_is_frozen_and_through_the_decoder_it_learns():
    q = make(0.7)
    z = q.sample(3)
    for out in (q.log_prob(z), q.kl(), q.perturbed(3)):
        to_params, to_codes = torch.autograd.grad(out.square().sum(), (q.params, q.codebook), allow_unused=True)
        assert (to_params != 0).any()
        assert to_codes is None
    (to_codes,) = torch.autograd.grad(q.quantised(z).sum(), q.codebook)
    torch.testing.assert_close(to_codes, z.sum((0, 1, 2, 3))[:, None].expand(C, WIDTH))  # how often each was chosen


def test_quantised_reads_the_chosen_codes_and_mixes_relaxed_ones():
    q = make(0.7)
    z, relaxed = q.sample(3), q.relaxed(3, 0.5)
    assert torch.equal(q.quantised(z), q.codebook[z.argmax(-1)])
    torch.testing.assert_close(q.quantised(relaxed), (relaxed[..., None] * q.codebook).sum(-2))


def test_place_adds_exactly_the_vectors_and_no_code():
    q = make(0.0)
    vectors = torch.randn(3, 2, 5, N, WIDTH, dtype=torch.float64, requires_grad=True)
    point = q.place(vectors)
    assert point.shape == (3, 2, 5, N, C + WIDTH)
    weights, offset = point.split([C, WIDTH], -1)
    assert torch.equal(weights, torch.zeros_like(weights))
    assert torch.equal(offset, vectors)
    assert torch.equal(q.quantised(weights) + offset, vectors)
    (gradient,) = torch.autograd.grad((point * torch.arange(C + WIDTH)).sum(), vectors)
    torch.testing.assert_close(gradient, torch.arange(C, C + WIDTH).to(gradient).expand_as(gradient))
