"""Measure-valued (weak) derivatives: the derivative of a density as a difference of two densities.

* S. Mohamed, M. Rosca, M. Figurnov, A. Mnih, Monte Carlo Gradient Estimation in Machine Learning, JMLR 21, 2020,
  arXiv:1906.10652.
"""

import math

import torch
from torch import Tensor

from estimators.base import Cost, Estimate, Estimator, as_loss
from estimators.coordinatewise import bit_differences, substituted
from estimators.latents import Bernoulli, Gaussian, Latent


class MeasureValued(Estimator):
    """For each coordinate, the difference of two costs: the derivative of its density, written as two densities.

        d/d mean_d    = (cost(z_d = mean + std w) - cost(z_d = mean - std w~)) / (std sqrt(2 pi))
        d/d log std_d =  cost(z_d = mean + std m) - cost(z)
        d/d logit_d   =  p_d (1 - p_d) (cost(z_d = 1) - cost(z_d = 0))                              bernoulli

    averaged over K, with z ~ q, w and w~ Rayleigh and m double-sided Maxwell noise, and all other coordinates at z.
    Unbiased: the coordinates are independent, and each pair of densities differs by the derivative. Coupled, w~ = w,
    and the normal noise of z_d is m times a uniform variable; uncoupled, they are independent. Two bits are the only
    pair there is, and that estimate is the local expectation. Cost evaluations per estimate: k (3 D + 1), for bits
    k (D + 1), in chunks of bounded memory.

    The decoder's gradient comes from z alone. Differs from the paper, which counts 4 D k: the negative part of d/d std
    has the distribution of q itself, so that all coordinates take it from the one cost(z).

    When not to use it: evaluations grow with D.

    Args:
        k: samples per estimate, 1 or more.
        coupled: couple the two points of each pair (Gaussian; bits have nothing to couple).
    """

    latents = (Gaussian, Bernoulli)
    unbiased = True
    evaluations = "k * (D + 1 if C else 3 * D + 1) / 0"
    paper = "Mohamed, Rosca, Figurnov & Mnih 2020"

    def __init__(self, k: int = 1, coupled: bool = True):
        super().__init__()
        if k < 1:
            raise ValueError(f"MeasureValued averages over samples, so it needs k >= 1; got k={k}.")
        self.k, self.coupled = k, coupled

    def forward(self, q: Latent, cost: Cost, x: Tensor) -> Estimate:
        if isinstance(q, Bernoulli):
            z = q.sample(self.k)
            c = cost(z)  # [K, ..., B]
            gradient = q.jacobian(bit_differences(q, cost, x, z, c))  # [K, ..., B, D]
        else:
            assert isinstance(q, Gaussian)
            mean, std = q.mean.detach(), q.std.detach()
            up, down, maxwell, normal = self.noise(q)  # [K, ..., B, D] each
            z = mean + std * normal
            c = cost(z)
            points = mean + std * torch.stack([up, -down, maxwell])
            plus, minus, outer = substituted(q, cost, x, z, lambda a: points[a], 3).movedim(1, -1)
            of_mean = (plus - minus) / (std * math.sqrt(2 * math.pi))
            gradient = torch.cat([of_mean, outer - c.detach().unsqueeze(-1)], -1)  # [K, ..., B, 2D]
        return Estimate(loss=as_loss(q, gradient.mean(0)) + c.mean(0), cost=c.mean(0))  # c differentiates the decoder

    def noise(self, q: Gaussian) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """w, w~, m and the noise of z, `[K, ..., B, D]` each."""
        up = q.rayleigh(self.k)
        maxwell, normal = q.maxwell(self.k)
        return (up, up, maxwell, normal) if self.coupled else (up, q.rayleigh(self.k), maxwell, q.normal(self.k))
