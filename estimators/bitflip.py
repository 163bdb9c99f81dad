"""Bitflip-1: the difference that flipping one random bit makes.

* R. Z. Kunes, M. Yin, M. Land and others, Gradient Estimation for Binary Latent Variables via Gradient Variance
  Clipping, 2022, arXiv:2208.06124.
"""

import torch
from torch import Tensor

from estimators.base import Cost, Estimate, Estimator, as_loss
from estimators.latents import Bernoulli


class Bitflip(Estimator[Bernoulli]):
    """Flip one bit, chosen uniformly among the D, and weigh the difference of the costs.

        D p_i (1 - p_i) (cost(z with z_i = 1) - cost(z with z_i = 0))   at the chosen i, 0 elsewhere

    averaged over K/2 independent pairs. Unbiased: each bit is chosen with probability 1/D, and the mean of the
    difference over the other bits is the slope in p_i. The decoder's gradient and the `cost` come from z alone, since
    its flipped neighbour is not a draw from q. Cost evaluations per estimate: k.

    The factor p (1 - p) vanishes where a bit is nearly certain; this is the regime it is made for. Elsewhere the factor
    D makes it noisy, and most coordinates get no gradient: prefer Disarm there. The paper's combination of the two, by
    coordinate, is not here.

    Args:
        k: samples per estimate, two a pair: even, 2 or more.
    """

    latents = (Bernoulli,)
    unbiased = True
    evaluations = "k / 0"
    paper = "Kunes et al. 2022"

    def __init__(self, k: int = 2):
        super().__init__()
        if k < 2 or k % 2:
            raise ValueError(f"Bitflip compares pairs of samples, so it needs an even k >= 2; got k={k}.")
        self.k = k

    def forward(self, q: Bernoulli, cost: Cost, x: Tensor) -> Estimate:
        z = q.sample(self.k // 2)  # [K/2, ..., B, D]
        size = z.shape[-1]
        index = q.uniform(self.k // 2).argmax(-1, keepdim=True)  # [K/2, ..., B, 1]
        chosen = (index == torch.arange(size, device=z.device)).to(z.dtype)
        c, flipped = cost(z), cost((z - chosen).abs()).detach()  # [K/2, ..., B]
        slope = (c.detach() - flipped).unsqueeze(-1) * (2 * z - 1) * chosen  # [K/2, ..., B, D]
        gradient = size * q.jacobian(slope.mean(0))
        return Estimate(loss=as_loss(q, gradient) + c.mean(0), cost=c.mean(0))  # c differentiates the decoder
