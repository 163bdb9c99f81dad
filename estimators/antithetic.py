"""Pathwise gradients from mirrored pairs of samples.

* J. M. Hammersley, K. W. Morton, A New Monte Carlo Technique: Antithetic Variates, Mathematical Proceedings of the
  Cambridge Philosophical Society 52, 1956.
* M. Wu, N. Goodman, S. Ermon, Differentiable Antithetic Sampling for Variance Reduction in Stochastic Variational
  Inference, AISTATS 2019, arXiv:1810.02555.
"""

import torch
from torch import Tensor

from estimators.base import Cost, Estimate, Estimator
from estimators.latents import Gaussian


class Antithetic(Estimator[Gaussian]):
    """Reparameterise each noise twice, with either sign.

        1/(2K) sum_k d cost(z+_k, q) + d cost(z-_k, q),   z+-_k = mean +- std * noise_k

    Total derivative, as in plain reparameterisation. Unbiased: noise and mirrored noise have the same distribution. For
    a cost that is quadratic in z, what the gradient of the mean has of noise is odd in it and cancels: exact. That of
    the standard deviation is even in the noise there, so that a pair is worth one sample. Cost evaluations per
    estimate: 2k, each differentiated to z. Wu et al. match the variance of the samples as well; here it is only their
    mean.

    Args:
        k: mirrored pairs per estimate.
    """

    latents = (Gaussian,)
    unbiased = True
    evaluations = "2k / 2k"
    paper = "Hammersley & Morton 1956; Wu, Goodman & Ermon 2019"

    def __init__(self, k: int = 1):
        super().__init__()
        if k < 1:
            raise ValueError(f"Antithetic needs k >= 1 pairs; got k={k}.")
        self.k = k

    def forward(self, q: Gaussian, cost: Cost, x: Tensor) -> Estimate:
        noise = q.normal(self.k)  # [K, ..., B, D]
        c = cost(q.mean + q.std * torch.cat([noise, -noise]), q).mean(0)  # [..., B]
        return Estimate(loss=c, cost=c)  # c differentiates q and the decoder
