"""The pathwise gradient less its linearisation around the mean.

* A. C. Miller, N. J. Foti, A. D'Amour, R. P. Adams, Reducing Reparameterization Gradient Variance, NeurIPS 2017,
  arXiv:1705.07880.
"""

import torch
from torch import Tensor

from estimators.base import Cost, Estimate, Estimator, as_loss
from estimators.latents import Gaussian


class ReparamCV(Estimator[Gaussian]):
    """Subtract from the pathwise gradient what a first-order Taylor step of the slope predicts.

        mean:     1/K sum_k slope(z_k) - H std average_noise
        log std:  1/K sum_k slope(z_k) std noise_k - slope(mean) std average_noise

        z_k = mean + std * noise_k,   slope(z) = d cost / dz,   H its derivative at the mean

    slope is that of the total derivative: log q(z) inside the cost moves with z. Unbiased: what is subtracted has mean
    0. It is linear in the noise, so one Hessian-vector product serves all k samples. For a cost that is quadratic in z
    the gradient of the mean is exact; that of the standard deviation loses only its part that is odd in the noise. Not
    for costs that are far from quadratic within a standard deviation, where the linearisation can add variance. Cost
    evaluations per estimate: k + 1, differentiated to z k + 1 times and once more for the product.

    Differs from the paper, whose correction of the standard deviation also has the second-order term, which needs the
    diagonal of the Hessian: an approximate diagonal would bias it and an exact one costs D products.

    Args:
        k: samples per estimate.
    """

    latents = (Gaussian,)
    unbiased = True
    evaluations = "k + 1 / k + 2"
    paper = "Miller, Foti, D'Amour & Adams 2017"

    def __init__(self, k: int = 1):
        super().__init__()
        if k < 1:
            raise ValueError(f"ReparamCV needs k >= 1 samples; got k={k}.")
        self.k = k

    def forward(self, q: Gaussian, cost: Cost, x: Tensor) -> Estimate:
        noise = q.normal(self.k)  # [K, ..., B, D]
        c = cost(q.mean + q.std * noise, q).mean(0)  # [..., B]
        log_std = q.log_std.detach()

        def at(mean: Tensor) -> Tensor:
            return cost(mean.unsqueeze(0), q.with_params(torch.cat([mean, log_std], -1))).sum()

        with torch.no_grad():  # the correction is q's alone: the decoder never sees it
            slope, pull_back = torch.func.vjp(torch.func.grad(at), q.mean.detach())  # type: ignore[misc]
            step = log_std.exp() * noise.mean(0)
            (curvature,) = pull_back(step)  # H step
            correction = torch.cat([curvature, slope * step], -1)  # [..., B, 2D]
        return Estimate(loss=c - as_loss(q, correction), cost=c)  # c differentiates q and the decoder
