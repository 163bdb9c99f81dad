"""Estimators as one writes them for a single use, without this suite: functions of logits or parameters, a cost and k.

Each returns a loss `[R]` whose gradient is the estimate, for one family and one setting, and does nothing else.
`params` is `[R, 1, *]`, `cost` maps `[K, R, 1, *]` to `[K, R, 1]`.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

Cost = Callable[[Tensor], Tensor]
Function = Callable[[Tensor, Cost], Tensor]


def reparam(params: Tensor, cost: Cost) -> Tensor:
    mean, log_std = params.chunk(2, -1)
    z = mean + log_std.exp() * torch.randn_like(mean)
    return cost(z[None])[0]


def reinforce(logits: Tensor, cost: Cost) -> Tensor:
    z = (torch.rand_like(logits) > torch.sigmoid(-logits)).to(logits.dtype).detach()
    c = cost(z[None])[0]
    return c.detach() * (z * logits - F.softplus(logits)).sum(-1) + c


def rloo(logits: Tensor, cost: Cost, k: int = 4) -> Tensor:
    z = (torch.rand(k, *logits.shape, device=logits.device) > torch.sigmoid(-logits)).to(logits.dtype).detach()
    c = cost(z)
    baseline = (c.sum(0) - c) / (k - 1)
    return ((c - baseline).detach() * (z * logits - F.softplus(logits)).sum(-1) + c).mean(0)


def disarm(logits: Tensor, cost: Cost) -> Tensor:
    u = torch.rand_like(logits)
    threshold = torch.sigmoid(-logits).detach()
    z = torch.stack([u > threshold, 1 - u > threshold]).to(logits.dtype)
    c = cost(z)
    weight = (z[0] - z[1]) * torch.sigmoid(logits.abs()).detach()
    gradient = 0.5 * (c[0] - c[1]).detach()[..., None] * weight
    return (logits * gradient).sum(-1) + c.mean(0)


def straight_through(logits: Tensor, cost: Cost) -> Tensor:
    p = torch.sigmoid(logits)
    z = (torch.rand_like(logits) > 1 - p).to(logits.dtype)
    return cost((z + (p - p.detach()))[None])[0]


def gumbel_softmax(logits: Tensor, cost: Cost, temperature: float = 1.0) -> Tensor:
    gumbel = -torch.empty_like(logits).exponential_().log()
    return cost(torch.softmax((logits + gumbel) / temperature, -1)[None])[0]


def st_gumbel_softmax(logits: Tensor, cost: Cost, temperature: float = 1.0) -> Tensor:
    perturbed = logits - torch.empty_like(logits).exponential_().log()
    soft = torch.softmax(perturbed / temperature, -1)
    hard = F.one_hot(perturbed.argmax(-1), logits.shape[-1]).to(logits.dtype)
    return cost((hard + (soft - soft.detach()))[None])[0]


FUNCTIONS: dict[str, tuple[str, Function]] = {
    "reparam": ("gaussian", reparam),
    "reinforce": ("bernoulli", reinforce),
    "rloo": ("bernoulli", rloo),
    "disarm": ("bernoulli", disarm),
    "straight_through": ("bernoulli", straight_through),
    "gumbel_softmax": ("categorical", gumbel_softmax),
    "st_gumbel_softmax": ("categorical", st_gumbel_softmax),
}
