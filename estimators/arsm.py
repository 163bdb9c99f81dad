"""ARSM: augment-REINFORCE-swap-merge, for categorical variables.

* M. Yin, Y. Yue, M. Zhou, ARSM: Augment-REINFORCE-Swap-Merge Estimator for Gradient Backpropagation Through Categorical
  Variables, ICML 2019, arXiv:1905.01413.
"""

from functools import cache
from itertools import combinations

import torch
from torch import Tensor

from estimators.base import Cost, Estimate, Estimator, as_loss
from estimators.latents import VQ, Categorical, OneHot


class Arsm(Estimator[OneHot]):
    """Swap the noise of two categories in every coordinate at once, for every pair, and compare the costs.

        gradient_dc = 1/K sum_k sum_j (cost(z swap cj) - mean_m cost(z swap mj)) (1/C - share_dj)

        z_d = the category of least share_dc / exp(logit_dc),   share_d ~ Dirichlet(1, ..., 1)

    where z swap cj is z after share_dc and share_dj have changed places in all d. Unbiased: E cost(z) (1 - C share_dc)
    is the derivative, the Dirichlet distribution does not change under the swap, and the subtracted means cancel over
    j in expectation. Cost evaluations per estimate: k (C (C - 1) / 2 + 1); the paper spares those whose swap leaves
    all of z as it is. The decoder's gradient comes from the unswapped z alone.

    When not to use it: with many categories, whose pairs are evaluated all at once.

    Args:
        k: independent draws of the shares, 1 or more.
    """

    latents = (Categorical, VQ)
    unbiased = True
    evaluations = "k * (C * (C - 1) // 2 + 1) / 0"
    paper = "Yin, Yue & Zhou 2019"

    def __init__(self, k: int = 1):
        super().__init__()
        if k < 1:
            raise ValueError(f"Arsm averages over draws, so it needs k >= 1; got k={k}.")
        self.k = k

    def forward(self, q: OneHot, cost: Cost, x: Tensor) -> Estimate:
        logits, gumbel = q.logits.detach(), q.gumbel(self.k)  # [..., B, D, C], [K, ..., B, D, C]
        order, number = swaps(logits.shape[-1], logits.device)  # [P, C], [C, C]
        z = q.harden(logits + gumbel)
        c = cost(z)  # [K, ..., B]
        with torch.no_grad():
            swapped = q.harden(logits + gumbel[..., order].movedim(-2, 0))  # [P, K, ..., B, D, C]
            pairs = cost(swapped.flatten(0, 1)).unflatten(0, swapped.shape[:2])
        costs = torch.cat([c.detach().unsqueeze(0), pairs])[number]  # [C, C, K, ..., B]: swap cj is swap jc
        excess = (costs - costs.mean(0)).movedim((0, 1), (-2, -1)).unsqueeze(-3)  # [K, ..., B, 1, C, C]
        share = torch.softmax(-gumbel, -1)  # exponentials over their sum
        gradient = (excess @ (1 / logits.shape[-1] - share).unsqueeze(-1)).squeeze(-1)  # [K, ..., B, D, C]
        return Estimate(loss=as_loss(q, gradient.mean(0)) + c.mean(0), cost=c.mean(0))  # c differentiates the decoder


@cache
def swaps(categories: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """The P = C (C - 1) / 2 permutations that swap a pair `[P, C]`, and the number of each pair `[C, C]` from 1; c with
    itself has number 0. Made and sent to the device once."""
    pair = torch.tensor(list(combinations(range(categories), 2)), dtype=torch.long, device=device).view(-1, 2)  # [P, 2]
    order = torch.arange(categories, device=device).repeat(len(pair), 1).scatter(1, pair, pair.flip(1))
    number = torch.zeros(categories, categories, dtype=torch.long, device=device)
    number[pair[:, 0], pair[:, 1]] = number[pair[:, 1], pair[:, 0]] = torch.arange(1, len(pair) + 1, device=device)
    return order, number
