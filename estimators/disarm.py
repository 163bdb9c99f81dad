"""DisARM, also found independently as U2G: an antithetic pair of bits, its uniform noise integrated out.

* Z. Dong, A. Mnih, G. Tucker, DisARM: An Antithetic Gradient Estimator for Binary Latent Variables, NeurIPS 2020,
  arXiv:2006.10680.
* M. Yin, N. Ho, B. Yan, X. Qian, M. Zhou, Probabilistic Best Subset Selection via Gradient-Based Optimization, 2020,
  arXiv:2006.06448.
"""

import torch
from torch import Tensor

from estimators.base import Cost, Estimate, Estimator, as_loss
from estimators.latents import Bernoulli
from estimators.latents.base import zero_one


class Disarm(Estimator[Bernoulli]):
    """Score the bits in which two antithetic samples differ by the difference of their costs.

        1/2 (cost(b) - cost(b~)) (b - b~) sigmoid(|logit|),   b = [u > 1 - p], b~ = [1 - u > 1 - p], u ~ U(0, 1)

    averaged over K/2 independent pairs. Unbiased: a bit differs with probability 2 min(p, 1 - p) = 2 sigmoid(-|logit|),
    and each of b and b~ has the distribution q. Cost evaluations per estimate: k.

    Args:
        k: samples per estimate, two a pair: even, 2 or more.
    """

    latents = (Bernoulli,)
    unbiased = True
    evaluations = "k / 0"
    paper = "Dong, Mnih & Tucker 2020"

    def __init__(self, k: int = 2):
        super().__init__()
        if k < 2 or k % 2:
            raise ValueError(f"Disarm draws antithetic pairs, so it needs an even k >= 2; got k={k}.")
        self.k = k

    def forward(self, q: Bernoulli, cost: Cost, x: Tensor) -> Estimate:
        u, logits = q.uniform(self.k // 2), q.logits.detach()  # [K/2, ..., B, D], [..., B, D]
        threshold = torch.sigmoid(-logits)  # 1 - p
        z = zero_one(torch.cat([u > threshold, 1 - u > threshold]), u.dtype)
        c, (b, antithetic) = cost(z), z.chunk(2)  # [K, ..., B], [K/2, ..., B, D]
        first, second = c.detach().chunk(2)
        pairs = 0.5 * (first - second).unsqueeze(-1) * (b - antithetic)  # [K/2, ..., B, D]
        gradient = pairs.mean(0) * torch.sigmoid(logits.abs())
        return Estimate(loss=as_loss(q, gradient) + c.mean(0), cost=c.mean(0))  # c differentiates the decoder
