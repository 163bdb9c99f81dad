"""DisARM for categories by importance weights: an antithetic pair from broken sticks, reweighted.

* Z. Dong, A. Mnih, G. Tucker, Coupled Gradient Estimators for Discrete Latent Variables, NeurIPS 2021,
  arXiv:2106.08056.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from estimators.base import Cost, Estimate, Estimator, as_loss
from estimators.latents import VQ, Categorical, OneHot


class DisarmIW(Estimator[OneHot]):
    """Score the coordinates in which two coupled samples differ by the difference of their costs.

        1/2 (cost(z) - cost(z~)) (z_d - z~_d) weight_d,   weight_d = q(z_d) q(z~_d) / P(z_d, z~_d)

    averaged over K/2 pairs. z and z~ break a stick: category by category, in rising order of probability, each stops
    with the probability of that category among those left; z where u < stop, z~ where 1 - u < stop, with the same
    uniform u. At the first category i at which one of the two stops and the other does not,

        weight = (1 - stop_i) prod_{m < i} (1 - stop_m)^2 / (1 - 2 stop_m)

    Unbiased: for independent samples this is leave-one-out with two, and importance weights make the coupled pair of
    each coordinate count like an independent one. In rising order every stop is at most 1/2, so that every pair of
    different categories can occur; a pair of equal ones counts nothing. For two categories it is DisARM.
    The decoder's gradient is the mean over both samples. Cost evaluations per estimate: k.

    Args:
        k: samples per estimate, two a pair: even, 2 or more.
    """

    latents = (Categorical, VQ)
    unbiased = True
    evaluations = "k / 0"
    paper = "Dong, Mnih & Tucker 2021"

    def __init__(self, k: int = 2):
        super().__init__()
        if k < 2 or k % 2:
            raise ValueError(f"DisarmIW draws antithetic pairs, so it needs an even k >= 2; got k={k}.")
        self.k = k

    def forward(self, q: OneHot, cost: Cost, x: Tensor) -> Estimate:
        probs, rank = q.probs.detach().sort(-1)  # [..., B, D, C], rising
        stop = (probs / probs.flip(-1).cumsum(-1).flip(-1))[..., :-1].clamp(max=0.5)  # [..., B, D, C - 1]
        exponential = torch.exp(-q.gumbel(self.k // 2))[..., :-1]  # [K/2, ..., B, D, C - 1]
        first = stopped(torch.exp(-exponential) < stop)  # position in the rising order [K/2, ..., B, D]
        second = stopped(-torch.expm1(-exponential) < stop)
        earlier = torch.minimum(first, second)
        weight = coupling_weights(stop).expand(*earlier.shape, -1).gather(-1, earlier.unsqueeze(-1))
        categories = torch.arange(probs.shape[-1], device=probs.device)
        pair = torch.cat([first, second]).unsqueeze(-1)  # [K, ..., B, D, 1]
        z = (rank.expand(*pair.shape[:-1], -1).gather(-1, pair) == categories).to(probs.dtype)  # [K, ..., B, D, C]
        c = cost(z)  # [K, ..., B]
        (upper, lower), (cost_upper, cost_lower) = z.chunk(2), c.detach().chunk(2)
        difference = 0.5 * (cost_upper - cost_lower)[..., None, None]
        gradient = (difference * (upper - lower) * weight).mean(0)
        return Estimate(loss=as_loss(q, gradient) + c.mean(0), cost=c.mean(0))  # c differentiates the decoder


def stopped(stops: Tensor) -> Tensor:
    """The position of the first true one of `[..., C - 1]`, or the last position C - 1 where there is none."""
    return F.pad(stops.to(torch.uint8), (0, 1), value=1).argmax(-1)


def coupling_weights(stop: Tensor) -> Tensor:
    """Weights `[..., C]` of pairs of different categories by the earlier's position; the last is never the earlier."""
    earlier = stop[..., :-1]  # the last but one category may stop at 1/2, so that never both go on
    both_go_on = 2 * torch.log1p(-earlier) - torch.log1p(-2 * earlier)  # log of (1 - stop)^2 / (1 - 2 stop)
    before = F.pad(both_go_on.cumsum(-1), (1, 0))  # [..., C - 1]
    return F.pad((before + torch.log1p(-stop)).exp(), (0, 1))
