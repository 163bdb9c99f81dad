"""Local expectation gradients: each coordinate summed over its own values, the others sampled.

* M. K. Titsias, M. Lazaro-Gredilla, Local Expectation Gradients for Black Box Variational Inference, NeurIPS 2015,
  arXiv:1503.01494.
"""

import torch
from torch import Tensor

from estimators.base import Cost, Estimate, Estimator, as_loss
from estimators.coordinatewise import bit_differences, substituted
from estimators.latents import VQ, Bernoulli, Categorical, Discrete


class LocalExpectation(Estimator[Discrete]):
    """For each coordinate, the exact gradient of the mean cost over its own values, the others held at one sample.

        gradient_dc = p_dc (cost(z with z_d = c) - mean_d),   mean_d = sum_c p_dc cost(z with z_d = c)
        gradient_d  = p_d (1 - p_d) (cost(z with bit d set) - cost(z with it cleared))          bernoulli

    Unbiased: coordinates are independent, so the others' sample has the distribution it has given z_d; exact where
    there is one coordinate, or where the cost is a sum over coordinates. All coordinates share one sample z, and one of
    the C values of each is its own. The decoder's gradient comes from z alone. Cost evaluations per estimate:
    1 + D (C - 1), with C = 2 for bits, in chunks of bounded memory.

    When not to use it: evaluations grow with D C, and at equal evaluations many samples of a cheaper estimator may do
    better.
    """

    latents = (Bernoulli, Categorical, VQ)
    unbiased = True
    evaluations = "1 + D * (C - 1) / 0"
    paper = "Titsias & Lazaro-Gredilla 2015"

    def forward(self, q: Discrete, cost: Cost, x: Tensor) -> Estimate:
        z = q.sample(1)  # [1, ..., B, *]
        c = cost(z)  # [1, ..., B]
        costs = (bit_differences if isinstance(q, Bernoulli) else category_costs)(q, cost, x, z, c)[0]  # [..., B, *]
        return Estimate(loss=as_loss(q, q.jacobian(costs)) + c[0], cost=c[0])  # c differentiates the decoder


def category_costs(q: Discrete, cost: Cost, x: Tensor, z: Tensor, c: Tensor) -> Tensor:
    """Costs `[K, ..., B, D, C]` of z with coordinate d set to category j, for one-hot z that cost c `[K, ..., B]`."""
    categories, chosen = torch.arange(z.shape[-1], device=z.device), z.argmax(-1)  # [C], [K, ..., B, D]

    def rotated(a: Tensor) -> Tensor:
        shift = (a + 1).view(-1, *[1] * chosen.ndim)
        return (((chosen + shift) % len(categories)).unsqueeze(-1) == categories).to(z.dtype)

    at_z = c.detach().expand(z.shape[-2], *c.shape).unsqueeze(0)
    others = substituted(q, cost, x, z, rotated, len(categories) - 1)
    costs = torch.cat([at_z, others])  # [C, D, K, ..., B], by rotation
    rotation = (categories - chosen.unsqueeze(-1)) % len(categories)  # [K, ..., B, D, C]
    return costs.movedim((0, 1), (-1, -2)).gather(-1, rotation)
