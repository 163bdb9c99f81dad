"""Randomised Sobol points: spread, independence and a mean by z-test."""

import torch

from estimators import Gaussian
from estimators.qmc import QMC
from tests.support.costs import SampledKL, small_latents
from tests.support.enumerate import z_scores

X = torch.zeros(1, 3, dtype=torch.float64)


class OneShift(QMC):
    """Planted error: all coordinates have one point and one shift, so that they are not independent."""

    def noise(self, q):
        return super().noise(q.with_params(torch.cat([q.mean[..., :1]] * 2, -1))).expand(-1, *q.mean.shape)


def test_one_shift_for_all_coordinates_is_found():
    q, cost = small_latents()["gaussian"]
    assert z_scores(OneShift(k=4), q, SampledKL(cost, q), X).abs().max() > 6


def test_sobol_points_are_evenly_spread_for_every_example():
    """Of 16 points, one in each of 16 intervals of every coordinate, and in each of 4 x 4 boxes of the first two."""
    q = Gaussian(torch.randn(50, 3, 10, dtype=torch.float64))

    def crowded(noise):
        u = torch.special.ndtr(noise)  # [K, 50, 3, 5]
        cells = (16 * u).long(), 4 * (4 * u[..., :1]).long() + (4 * u[..., 1:2]).long()
        return [c.sort(0).values != torch.arange(16).view(-1, 1, 1, 1) for c in cells]

    assert not any(c.any() for c in crowded(QMC(k=16).noise(q)))
    assert all(c.any() for c in crowded(q.normal(16)))


def test_sobol_points_of_two_examples_are_independent_and_uniform():
    q = Gaussian(torch.zeros(200_000, 2, 4, dtype=torch.float64))
    u = torch.special.ndtr(QMC(k=3).noise(q))  # [K, R, B, D]

    def z(values, mean, variance):
        return ((values.mean(1) - mean) * (values.shape[1] / variance) ** 0.5).abs().max()

    centred = u - 0.5
    for power, mean in ((1, 0), (2, 1 / 12), (4, 1 / 80)):
        assert z(centred**power, mean, 1 / (2 * power + 1) / 4**power - mean**2) < 4.5
    assert z(centred[:, :, 0] * centred[:, :, 1], 0, 1 / 144) < 4.5
    assert z(centred[..., 0] * centred[..., 1], 0, 1 / 144) < 4.5
    assert z(centred[:, :, 0] ** 2, 0, 1 / 144) > 100


def test_sobol_normals_are_finite_in_float32():
    q = Gaussian(torch.zeros(100_000, 2))
    q.normal = lambda k: torch.linspace(-9, 9, 100_000).view(k, -1, 1)
    noise = QMC(k=2).noise(q)
    assert noise.dtype == torch.float32
    assert noise.isfinite().all()


def test_sobol_points_have_a_last_coordinate():
    q = Gaussian(torch.zeros(1, 2 * 21_202))
    assert "21201" in QMC().refuses(q)
    assert QMC().refuses(Gaussian(torch.zeros(1, 2))) is None
