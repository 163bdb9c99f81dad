"""DReG: the importance-weighted bound, reparameterised twice.

* G. Tucker, D. Lawson, S. Gu, C. J. Maddison, Doubly Reparameterized Gradient Estimators for Monte Carlo Objectives,
  ICLR 2019, arXiv:1810.04152.
"""

import torch
from torch import Tensor

from estimators.base import Cost, Estimate, Estimator
from estimators.bounds import bound
from estimators.latents import Gaussian


class Dreg(Estimator[Gaussian]):
    """Weight each path derivative by the square of its normalised importance weight.

        q:        sum_k v_k^2 d cost(z_k) / dz dz_k,   v = softmax(-cost),   z_k = mean + std * noise_k
        decoder:  sum_k v_k d cost(z_k)

    with q frozen in cost. Unbiased for L_K: the score of q in the total derivative, weighted by v_k, is itself
    reparameterised, and what remains of the path derivative is v_k^2. Zero variance where q is the posterior; at k = 1
    it is STL. Its `cost` is -L_K. Cost evaluations per estimate: k, each differentiated to z.

    Args:
        k: samples of the bound.
    """

    latents = (Gaussian,)
    unbiased = True
    objective = "iwae"
    evaluations = "k / k"
    paper = "Tucker, Lawson, Gu & Maddison 2019"

    def __init__(self, k: int = 5):
        super().__init__()
        if k < 1:
            raise ValueError(f"Dreg needs k >= 1 samples; got k={k}.")
        self.k = k

    def forward(self, q: Gaussian, cost: Cost, x: Tensor) -> Estimate:
        z = q.rsample(self.k)  # [K, ..., B, D]
        c, pull_back = torch.func.vjp(cost, z.detach())  # type: ignore[misc]
        weights = torch.softmax(-c.detach(), 0)
        with torch.no_grad():
            (slope,) = pull_back(weights**2)  # [K, ..., B, D]
        loss = (weights * c + (slope * z).sum(-1)).sum(0)  # c differentiates the decoder, z differentiates q
        return Estimate(loss=loss, cost=-bound(c))
