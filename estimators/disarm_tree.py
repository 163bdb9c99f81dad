"""DisARM for categories by trees: an antithetic pair from binary decisions, Rao-Blackwellised.

* Z. Dong, A. Mnih, G. Tucker, Coupled Gradient Estimators for Discrete Latent Variables, NeurIPS 2021,
  arXiv:2106.08056.
"""

from functools import cache

import torch
from torch import Tensor

from estimators.base import Cost, Estimate, Estimator
from estimators.latents import VQ, Bernoulli, Categorical, OneHot


class DisarmTree(Estimator[OneHot]):
    """DisARM for the bits that lead down a binary tree to the category, those that no path asked for integrated out.

        1/2 (cost(z) - cost(z~)) sum_i seen_i d logit_i

        seen_i = (b_i - b~_i) sigmoid(|logit_i|)    where both paths meet node i
               = b_i - p_i, or p_i - b~_i           where only that of z, or only that of z~, meets it
               = 0                                  elsewhere

    averaged over K/2 pairs. Each coordinate has a tree of its own, as balanced as C allows, with an antithetic pair of
    bits b_i, b~_i at each of its C - 1 nodes; logit_i is the log ratio of the probabilities to its left and right, and
    p_i = sigmoid(logit_i). Unbiased: it is the expectation of DisARM for all the bits of all the trees, given z and z~.
    For two categories it is DisARM. The decoder's gradient is the mean over both samples. Cost evaluations per
    estimate: k.

    Which categories share a branch changes the variance; here, it is neighbours in their order.

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
            raise ValueError(f"DisarmTree draws antithetic pairs, so it needs an even k >= 2; got k={k}.")
        self.k = k

    def forward(self, q: OneHot, cost: Cost, x: Tensor) -> Estimate:
        left, right = branches(q.logits.shape[-1], q.logits.device)  # [C - 1, C] each
        logits = sums(q.natural, left) - sums(q.natural, right)  # [..., B, D, C - 1], differentiates q
        nodes = Bernoulli(logits.detach())
        bits = torch.cat(antithetic_bits(nodes, torch.exp(-q.gumbel(self.k // 2))[..., :-1]))  # [K, ..., B, D, C - 1]
        sides = left.to(bits.dtype), right.to(bits.dtype)
        agree = bits @ sides[0] + (1 - bits) @ sides[1]  # [K, ..., B, D, C]: nodes that lead to the category
        z = (agree > (sides[0] + sides[1]).sum(0) - 0.5).to(bits.dtype)
        met = z @ (sides[0] + sides[1]).mT  # [K, ..., B, D, C - 1]
        c = cost(z)  # [K, ..., B]
        (b, antithetic), (upper, lower) = bits.chunk(2), met.chunk(2)
        seen = self.seen(b, antithetic, nodes, upper, lower)
        first, second = c.detach().chunk(2)
        gradient = (0.5 * (first - second)[..., None, None] * seen).mean(0)  # [..., B, D, C - 1]
        score = (gradient * logits).sum((-2, -1))
        return Estimate(loss=score + c.mean(0), cost=c.mean(0))  # c differentiates the decoder

    @staticmethod
    def seen(b: Tensor, antithetic: Tensor, nodes: Bernoulli, upper: Tensor, lower: Tensor) -> Tensor:
        """seen_i `[K/2, ..., B, D, C - 1]`; `upper` and `lower` are 1 at the nodes that z and z~ meet."""
        both = upper * lower
        alone = (upper - both) * nodes.score(b) - (lower - both) * nodes.score(antithetic)
        return both * (b - antithetic) * torch.sigmoid(nodes.logits.abs()) + alone


def antithetic_bits(nodes: Bernoulli, exponential: Tensor) -> tuple[Tensor, Tensor]:
    """b = [u < p] and b~ = [1 - u < p] `[K/2, ...]`, u = exp(-exponential).

    Told by the rarer value, where u and 1 - u have all their digits: a bit of probability 1 is never 0.
    """
    u, complement, down = torch.exp(-exponential), -torch.expm1(-exponential), nodes.logits < 0
    rare = torch.sigmoid(-nodes.logits.abs())
    first, second = torch.where(down, u, complement) < rare, torch.where(down, complement, u) < rare
    return (first == down).to(u.dtype), (second == down).to(u.dtype)


@cache
def branches(categories: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Which categories lie to the left and which to the right of each node of a binary tree, `[C - 1, C]` of bool; made
    and sent to the device once."""
    left = torch.zeros(categories - 1, categories, dtype=torch.bool)
    right = left.clone()
    spans, node = [(0, categories)], 0
    while spans:
        start, stop = spans.pop()
        if stop - start > 1:
            middle = (start + stop) // 2
            left[node, start:middle] = right[node, middle:stop] = True
            spans += [(start, middle), (middle, stop)]
            node += 1
    return left.to(device), right.to(device)


def sums(logits: Tensor, members: Tensor) -> Tensor:
    """Log of the summed exponentials of the members: logits `[..., C]`, members `[N, C]` -> `[..., N]`."""
    return torch.where(members, logits.unsqueeze(-2), -torch.inf).logsumexp(-1)
