"""The K-sample bound and what is left of its sum without one sample; costs are -log w, in nats."""

import math

import torch
from torch import Tensor


def bound(c: Tensor) -> Tensor:
    """L_K = log mean_k w_k `[..., B]` of costs `c [K, ..., B]`."""
    return (-c).logsumexp(0) - math.log(c.shape[0])


def log_others(c: Tensor) -> Tensor:
    """log sum of the other K - 1 weights, for each sample `[K, ..., B]`; no cancellation where one weight dominates."""
    end = torch.full_like(c[:1], -math.inf)
    before = torch.cat([end, (-c[:-1]).logcumsumexp(0)])
    after = torch.cat([(-c[1:]).flip(0).logcumsumexp(0).flip(0), end])
    return torch.logaddexp(before, after)
