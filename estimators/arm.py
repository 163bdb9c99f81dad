"""ARM: augment, REINFORCE, merge.

* M. Yin, M. Zhou, ARM: Augment-REINFORCE-Merge Gradient for Stochastic Binary Networks, ICLR 2019, arXiv:1807.11143.
"""

import torch
from torch import Tensor

from estimators.base import Cost, Estimate, Estimator, as_loss
from estimators.latents import Bernoulli


class Arm(Estimator[Bernoulli]):
    """Score the uniform noise of an antithetic pair by the difference of their costs.

        (cost(b) - cost(b~)) (u - 1/2),   b = [u > 1 - p], b~ = [1 - u > 1 - p], u ~ U(0, 1)

    averaged over K/2 independent pairs. Unbiased: cost(b) (2u - 1) is, since [u > 1 - p] (2u - 1) has mean p (1 - p)
    and 2u - 1 has mean 0; this is its average over u and 1 - u. Cost evaluations per estimate: k.

    Given b and b~ the noise u is still random and only adds variance: averaging over it gives Disarm, so prefer that
    wherever ARM itself is not what is studied.

    Args:
        k: samples per estimate, two a pair: even, 2 or more.
    """

    latents = (Bernoulli,)
    unbiased = True
    evaluations = "k / 0"
    paper = "Yin & Zhou 2019"

    def __init__(self, k: int = 2):
        super().__init__()
        if k < 2 or k % 2:
            raise ValueError(f"Arm draws antithetic pairs, so it needs an even k >= 2; got k={k}.")
        self.k = k

    def forward(self, q: Bernoulli, cost: Cost, x: Tensor) -> Estimate:
        u = q.uniform(self.k // 2)  # [K/2, ..., B, D]
        threshold = torch.sigmoid(-q.logits.detach())  # 1 - p
        c = cost(torch.cat([u > threshold, 1 - u > threshold]).to(u.dtype))  # [K, ..., B]
        first, second = c.detach().chunk(2)
        gradient = ((first - second).unsqueeze(-1) * (u - 0.5)).mean(0)  # [..., B, D]
        return Estimate(loss=as_loss(q, gradient) + c.mean(0), cost=c.mean(0))  # c differentiates the decoder
