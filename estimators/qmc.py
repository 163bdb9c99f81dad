"""Pathwise gradients from a randomised low-discrepancy point set.

* I. M. Sobol, On the Distribution of Points in a Cube and the Approximate Evaluation of Integrals, USSR Computational
  Mathematics and Mathematical Physics 7, 1967.
* A. Buchholz, F. Wenzel, S. Mandt, Quasi-Monte Carlo Variational Inference, ICML 2018, arXiv:1807.01604.
"""

from functools import cache

import torch
from torch import Tensor
from torch.quasirandom import SobolEngine

from estimators.base import Cost, Estimate, Estimator
from estimators.latents import Gaussian, Latent

BITS = 30  # of a Sobol point


class QMC(Estimator[Gaussian]):
    """Reparameterise the points of a Sobol set, shifted at random for each example.

        1/K sum_k d cost(z_k, q),   z_k = mean + std * normal_quantile(u_k),   u_k = point_k xor shift

    with shift ~ U(0, 1). Total derivative, as in plain reparameterisation. The shift is digital: it is added to the
    binary digits of each coordinate without carry, which keeps the set as evenly spread as it is; that is the least
    scrambling with which each u_k is uniform, hence the estimate unbiased. Every example of every replica has its own
    shift, so examples stay independent; the k points of one example do not. Cost evaluations per estimate: k, each
    differentiated to z. At k = 1 it is plain reparameterisation; take powers of 2. In float32 the normals end at 5.2
    standard deviations.

    Args:
        k: points per estimate, 1 or more.
    """

    latents = (Gaussian,)
    unbiased = True
    evaluations = "k / k"
    paper = "Buchholz, Wenzel & Mandt 2018"

    def __init__(self, k: int = 4):
        super().__init__()
        if k < 1:
            raise ValueError(f"QMC needs k >= 1 points; got k={k}.")
        self.k = k

    def refuses(self, q: Latent) -> str | None:
        if reason := super().refuses(q):
            return reason
        if q.params.shape[-1] // 2 > SobolEngine.MAXDIM:
            return f"{self.name} has Sobol points of at most {SobolEngine.MAXDIM} coordinates; take fewer."
        return None

    def forward(self, q: Gaussian, cost: Cost, x: Tensor) -> Estimate:
        z = q.mean + q.std * self.noise(q)  # [K, ..., B, D]
        c = cost(z, q).mean(0)  # [..., B]
        return Estimate(loss=c, cost=c)  # c differentiates q and the decoder

    def noise(self, q: Gaussian) -> Tensor:
        """Normals `[K, ..., B, D]`, standard one by one and evenly spread together."""
        shift = torch.special.ndtr(q.normal(1).double()) * 2**BITS  # [1, ..., B, D], uniform
        points = sobol(self.k, q.mean.shape[-1], shift.device)  # [K, D]
        points = points.view(self.k, *[1] * len(q.batch_shape), -1)
        digits = shift.floor()
        u = ((points ^ digits.long()) + (shift - digits)) / 2**BITS
        eps = torch.finfo(q.mean.dtype).eps
        return torch.special.ndtri(u.clamp(eps, 1 - eps)).to(q.mean.dtype)


@cache
def sobol(k: int, size: int, device: torch.device) -> Tensor:
    """The first k Sobol points as integers `[K, D]` of 30 binary digits, sent to the device once."""
    return (SobolEngine(size).draw(k, dtype=torch.float64) * 2**BITS).long().to(device)
