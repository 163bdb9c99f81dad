"""Rao-Blackwellised REINFORCE: the k most probable states are summed exactly, one sample stands for the others.

* R. Liu, J. Regier, N. Tripuraneni, M. I. Jordan, J. McAuliffe, Rao-Blackwellized Stochastic Gradients for Discrete
  Distributions, ICML 2019, arXiv:1810.04777.
"""

import torch
from torch import Tensor

from estimators.base import Cost, Estimate, Estimator
from estimators.latents import VQ, Categorical, OneHot
from estimators.without_replacement import joint_log_probs, most_probable, remainder, scored, without_replacement


class RaoBlackwellTopk(Estimator[OneHot]):
    """The score function summed over the k most probable states, and at one sample of all the others.

        sum_{s in top} q(z_s) cost(z_s) d log q(z_s) + (1 - sum_{s in top} q(z_s)) cost(z) d log q(z),   z not in top

    Each of the k is a joint state, a value of all D coordinates at once, found by a beam over the coordinates.
    Unbiased: the first of k + 1 states drawn without replacement that is not among the top k has the distribution of q
    restricted to the others. It is the expectation of REINFORCE with one sample, over whether that is in the top and
    which of the top it is; so its variance is never larger. Exact at k = all states - 1. Decoder and `cost` are
    weighted alike. Cost evaluations per estimate: k + 1.

    When not to use it: large or flat posteriors, whose top k hold next to none of the probability.

    Args:
        k: states summed, 1 or more and below the number of states.
    """

    latents = (Categorical, VQ)
    unbiased = True
    evaluations = "k + 1 / 0"
    paper = "Liu et al. 2019"

    def __init__(self, k: int = 3):
        super().__init__()
        if k < 1:
            raise ValueError(f"RaoBlackwellTopk sums over k >= 1 states; got k={k}.")
        self.k = k

    def refuses(self, q: OneHot) -> str | None:  # type: ignore[override]
        if reason := super().refuses(q):
            return reason
        if self.k >= q.states:
            return f"{self.name} samples one more than k={self.k} states, but this latent has {q.states}; lower k."
        return None

    def forward(self, q: OneHot, cost: Cost, x: Tensor) -> Estimate:
        top, drawn = most_probable(q, self.k), without_replacement(q, self.k + 1)  # [K, ..., B, D, C], [K + 1, ...]
        z = torch.cat([top, first_outside(drawn, top)])
        summed = joint_log_probs(q, top)
        weights = torch.cat([summed.exp(), remainder(summed).unsqueeze(0)])
        log_q, c = scored(q, cost, z)  # [K + 1, ..., B]
        weighted = weights.to(c.dtype) * c
        loss = weighted.detach() * log_q + weighted  # the latter differentiates the decoder
        return Estimate(loss=loss.sum(0), cost=weighted.sum(0))


def first_outside(drawn: Tensor, top: Tensor) -> Tensor:
    """The first of `drawn [K + 1, ..., B, D, C]` that is not among `top [K, ..., B, D, C]`: `[1, ..., B, D, C]`."""
    inside = (drawn.argmax(-1).unsqueeze(1) == top.argmax(-1)).all(-1).any(1)  # [K + 1, ..., B]
    position = inside.to(torch.uint8).argmin(0)[None, ..., None, None]  # argmin: the first of equals
    return drawn.gather(0, position.expand(1, *drawn.shape[1:]))
