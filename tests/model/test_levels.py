"""The likelihood of 256 levels is a probability of them, and a dequantised density bounds one: in nats and in bits."""

import math

import pytest
import torch

from bench.measure.evaluate import evaluate
from bench.model.levels import categorical256
from bench.model.vae import VAE
from tests.support.small import LATENTS, MODEL, vae

VALUES = torch.arange(256, dtype=torch.float64)[:, None] / 255  # [256, 1]: one pixel


@pytest.mark.parametrize("std", [1e-4, 0.003, 0.1, 1.0, 40.0])
@pytest.mark.parametrize("mean", [-3.0, 0.0, 0.5, 0.7431, 1.0, 2.0])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_probabilities_of_256_values_sum_to_one(mean, std, dtype):
    logs = categorical256(
        VALUES.to(dtype), torch.full((256, 1), mean, dtype=dtype), torch.tensor([std], dtype=dtype).log()
    )
    assert bool(logs.isfinite().all())
    rounded = 2e-6 + 1e-7 / std if dtype is torch.float32 else 1e-11  # of a level, in units of the scale
    assert float(logs.double().exp().sum()) == pytest.approx(1, abs=rounded)


def test_each_is_the_logistic_distribution_between_two_edges():
    std, mean = 0.13, torch.rand(256, 1, dtype=torch.float64)
    scale = std * math.sqrt(3) / math.pi
    edges = torch.sigmoid((VALUES + torch.tensor([-0.5, 0.5]).double() / 255 - mean) / scale)
    edges[0, 0], edges[-1, 1] = 0, 1
    found = categorical256(VALUES, mean, torch.tensor([std], dtype=torch.float64).log())
    torch.testing.assert_close(found, (edges[:, 1] - edges[:, 0]).log(), rtol=1e-8, atol=1e-8)


def test_means_that_all_examples_share_are_those_of_each():
    x, mean = (torch.rand(3, 5).double() * 255).round() / 255, torch.rand(4, 2, 1, 5).double()
    log_std = torch.tensor([-1.0]).double()
    torch.testing.assert_close(categorical256(x, mean, log_std), categorical256(x, mean.expand(4, 2, 3, 5), log_std))


def test_its_derivatives_are_those_of_finite_differences():
    x = VALUES[[0, 1, 77, 254, 255]].mT
    mean = torch.tensor([[0.3, 0.0, 0.31, 0.9, 0.8]], dtype=torch.float64, requires_grad=True)
    log_std = torch.tensor([-2.0], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda m, s: categorical256(x, m, s), (mean, log_std))


@pytest.mark.parametrize("learn", [False, True])
def test_a_model_with_it_is_a_distribution_of_two_pixels(learn):
    """Over all images of one latent point; the importance weights do not enter."""
    made = VAE(
        LATENTS["gaussian"], MODEL | {"likelihood": "categorical256", "std": 0.4, "learn_std": learn}, (1, 1, 2),
        torch.full((2,), 0.5, dtype=torch.float64),
    ).double()  # fmt: skip
    x = torch.cartesian_prod(VALUES[:, 0], VALUES[:, 0])  # [65536, 2]
    z = torch.randn(1, 1, 3, dtype=torch.float64)
    with torch.no_grad():
        assert float(made.log_likelihood(x[:2], z).exp().sum()) < 1
        total = made.log_likelihood(x, z.expand(1, len(x), 3)).logsumexp(-1)
    assert float(total) == pytest.approx(0, abs=1e-10)


def test_the_density_of_dequantised_levels_bounds_their_probability():
    """Theis, van den Oord & Bethge 2016: E log p((v + u) / 256) - log 256 <= log P(v), here by integration."""
    mean, std = 0.31, 0.004  # about a level wide, so that the bound has a gap
    u = (torch.arange(20_000, dtype=torch.float64) + 0.5) / 20_000
    gaps = []
    for v in (70, 79, 80, 90):
        points = (v + u) / 256
        log_density = -0.5 * ((points - mean) / std) ** 2 - math.log(std) - 0.5 * math.log(2 * math.pi)
        edge = torch.tensor([v / 256, (v + 1) / 256], dtype=torch.float64)
        low, high = (0.5 * torch.erfc((mean - edge) / std / math.sqrt(2))).tolist()
        if v == 79:  # in the bulk, where the difference of two integrals has digits left
            assert float(log_density.exp().mean() / 256) == pytest.approx(high - low, rel=1e-6)
        gaps.append(float((log_density.exp().mean() / 256).log() - (log_density.mean() - math.log(256))))
    assert min(gaps) > 0.001


def test_bits_per_dimension_count_the_levels_of_a_dequantised_density():
    model = vae("gaussian", likelihood="gaussian", std=0.2)
    x = torch.rand(7, 16, dtype=torch.float64)
    plain, levelled = (evaluate(model, x, 3, 0, seed=0, level_bits=bits) for bits in (0.0, 8.0))
    assert plain["bits_per_dim"] == pytest.approx(-plain["elbo"] / (16 * math.log(2)))
    assert levelled["bits_per_dim"] == pytest.approx(plain["bits_per_dim"] + 8)
    assert levelled["elbo"] == plain["elbo"]
