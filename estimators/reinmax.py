"""ReinMax: straight-through to second order.

* L. Liu, C. Dong, X. Liu, B. Yu, J. Gao, Bridging Discrete and Backpropagation: Straight-Through and Beyond, NeurIPS
  2023, arXiv:2304.08612.
"""

import torch
from torch import Tensor

from estimators.base import Cost, Estimate, Estimator, Range
from estimators.latents import VQ, Bernoulli, Categorical, Discrete

# J(p) below is the Jacobian of softmax where it takes the value p: diag(p) - p p'; p (1 - p) of a sigmoid.


class Reinmax(Estimator[Discrete]):
    """Forward the sample, backward the slope of the cost through two Jacobians.

        1/K sum_k (2 J(mid_k) - 1/2 J(probs)) d cost(z_k) / dz,   mid_k = 1/2 (softmax(logits / temperature) + z_k)

    Biased, by the third order: exact at temperature 1 where the cost is quadratic in each coordinate's z, products of
    coordinates included. The decoder's gradient is unbiased. Cost evaluations per estimate: k, each differentiated to
    z. The bias is lower than that of straight-through, the variance need not be: it can be many times higher where
    straight-through is nearly exact.

    Args:
        k: samples per estimate, 1 or more.
        temperature: of the softmax in the middle point, above 0; the paper takes 1 or more.
    """

    latents = (Bernoulli, Categorical, VQ)
    unbiased = False
    evaluations = "k / k"
    paper = "Liu et al. 2023"
    tunable = {"temperature": Range(0.5, 2.0)}

    def __init__(self, k: int = 1, temperature: float = 1.0):
        super().__init__()
        if k < 1:
            raise ValueError(f"Reinmax averages over samples, so it needs k >= 1; got k={k}.")
        if temperature <= 0:
            raise ValueError(f"A softmax needs a temperature above 0; got temperature={temperature}.")
        self.k, self.temperature = k, temperature

    def forward(self, q: Discrete, cost: Cost, x: Tensor) -> Estimate:
        z = q.sample(self.k)  # [K, ..., B, *]
        middle = (q.soften(q.logits, self.temperature).detach() + z) / 2
        rest = (q.soften(-q.logits, self.temperature).detach() + 1 - z) / 2 if isinstance(q, Bernoulli) else None
        c = cost(z + 2 * tangent(q, middle, rest) - tangent(q, q.probs.detach()) / 2).mean(0)  # tangents are 0
        return Estimate(loss=c, cost=c)  # c differentiates q and the decoder


def tangent(q: Discrete, probs: Tensor, rest: Tensor | None = None) -> Tensor:
    """Zero, with the Jacobian with respect to q's logits that their softmax has where it takes the value `probs`.

    `rest`: 1 - probs of bits, all of its digits; by default that of q itself.
    """
    move = q.logits - q.logits.detach()
    if isinstance(q, Bernoulli):
        return probs * (torch.sigmoid(-q.logits.detach()) if rest is None else rest) * move
    return probs * (move - (probs * move).sum(-1, keepdim=True))
