"""DisARM for categories: an antithetic pair from broken sticks, reweighted; or from binary trees, Rao-Blackwellised.

* Z. Dong, A. Mnih, G. Tucker, Coupled Gradient Estimators for Discrete Latent Variables, NeurIPS 2021,
  arXiv:2106.08056.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from estimators.base import Cost, Estimate, Estimator, as_loss
from estimators.latents import VQ, Categorical, OneHot


class DisarmIW(Estimator):
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

    def forward(self, q: OneHot, cost: Cost, x: Tensor) -> Estimate:  # type: ignore[override]
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


class DisarmTree(Estimator):
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

    def forward(self, q: OneHot, cost: Cost, x: Tensor) -> Estimate:  # type: ignore[override]
        left, right = branches(q.logits.shape[-1], q.logits.device)  # [C - 1, C] each
        logits = sums(q.natural, left) - sums(q.natural, right)  # [..., B, D, C - 1], differentiates q
        p = torch.sigmoid(logits.detach())
        exponential = torch.exp(-q.gumbel(self.k // 2))[..., :-1]  # [K/2, ..., B, D, C - 1]
        bits = torch.cat([torch.exp(-exponential) < p, -torch.expm1(-exponential) < p]).to(p.dtype)  # [K, ...]
        sides = left.to(p.dtype), right.to(p.dtype)
        agree = bits @ sides[0] + (1 - bits) @ sides[1]  # [K, ..., B, D, C]: nodes that lead to the category
        z = (agree > (sides[0] + sides[1]).sum(0) - 0.5).to(p.dtype)
        met = z @ (sides[0] + sides[1]).mT  # [K, ..., B, D, C - 1]
        c = cost(z)  # [K, ..., B]
        (b, antithetic), (upper, lower) = bits.chunk(2), met.chunk(2)
        seen = self.seen(b, antithetic, p, upper, lower)
        first, second = c.detach().chunk(2)
        gradient = (0.5 * (first - second)[..., None, None] * seen).mean(0)  # [..., B, D, C - 1]
        score = (gradient * logits).sum((-2, -1))
        return Estimate(loss=score + c.mean(0), cost=c.mean(0))  # c differentiates the decoder

    @staticmethod
    def seen(b: Tensor, antithetic: Tensor, p: Tensor, upper: Tensor, lower: Tensor) -> Tensor:
        """seen_i `[K/2, ..., B, D, C - 1]`; `upper` and `lower` are 1 at the nodes that z and z~ meet."""
        both = upper * lower
        alone = (upper - both) * (b - p) + (lower - both) * (p - antithetic)
        return both * (b - antithetic) * torch.maximum(p, 1 - p) + alone


def branches(categories: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Which categories lie to the left and which to the right of each node of a binary tree, `[C - 1, C]` of bool."""
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


def stopped(stops: Tensor) -> Tensor:
    """The position of the first true one of `[..., C - 1]`, or the last position C - 1 where there is none."""
    return torch.cat([stops, torch.ones_like(stops[..., :1])], -1).to(torch.uint8).argmax(-1)


def coupling_weights(stop: Tensor) -> Tensor:
    """Weights `[..., C]` of pairs of different categories by the earlier's position; the last is never the earlier."""
    earlier = stop[..., :-1]  # the last but one category may stop at 1/2, so that never both go on
    both_go_on = 2 * torch.log1p(-earlier) - torch.log1p(-2 * earlier)  # log of (1 - stop)^2 / (1 - 2 stop)
    before = F.pad(both_go_on.cumsum(-1), (1, 0))  # [..., C - 1]
    return F.pad((before + torch.log1p(-stop)).exp(), (0, 1))
