"""All points of one example's latent, with weights: its states, or a grid on the real line."""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from estimators import Enumerable, Latent

INTEGRAL = 1e-4  # allowed error of a sum or integral; the grid's is a tenth of it if a density jumps, else far less
POINTS = 1_000_001
REACH = 12.0  # the grid ends at sinh of it, 81 thousand interquartile ranges from the centre
RARE = 5.0  # states with fewer expected draws are counted together


class Support(NamedTuple):
    """Points `[S, 1, *]` and their weights: 1 for a state, the width of its grid cell for a point of the line."""

    points: Tensor
    weights: Tensor  # [S]

    def mean(self, log_q: Callable[[Tensor], Tensor], function: Callable[[Tensor], Tensor] | None = None) -> Tensor:
        """The mean under q of a function of points, `[S, 1, *]` -> `[S, 1]`; without one, the total probability."""
        log_probs = log_q(self.points)[:, 0]
        values = 1.0 if function is None else function(self.points)[:, 0]
        terms = self.weights * log_probs.exp() * values
        return torch.where(log_probs > -math.inf, terms, 0).sum()


def support(q: Latent) -> Support:
    """The support of q, which has one example. Its states can be enumerated, or its point is one number."""
    if isinstance(q, Enumerable):
        states = q.enumerate()
        return Support(states, states.new_ones(len(states), dtype=q.params.dtype))
    drawn = q.sample(4001)
    centre = drawn.median()
    low, high = drawn.flatten().quantile(torch.tensor([0.25, 0.75], dtype=drawn.dtype))
    steps = torch.linspace(-REACH, REACH, POINTS, dtype=drawn.dtype)
    spread = (high - low).clamp(min=1e-6)
    points, width = centre + spread * steps.sinh(), spread * steps.cosh() * (steps[1] - steps[0])
    return Support(points.reshape(-1, *drawn.shape[1:]), width)


def apart(at: Support, q: Latent, z: Tensor) -> float:
    """How many standard errors samples `[K, 1, *]` differ from the distribution of log_prob: the largest deviation of a
    state's count, or the largest distance of the two distribution functions."""
    probs = (at.weights * q.log_prob(at.points)[:, 0].exp()).detach()
    if not isinstance(q, Enumerable):
        below = torch.searchsorted(at.points.flatten(), z.flatten().sort().values)
        wanted = torch.cat([probs.new_zeros(1), probs.cumsum(0)])[below]
        found = torch.arange(1, len(z) + 1, dtype=wanted.dtype) / len(z)
        return float((found - wanted).abs().max()) * len(z) ** 0.5 * 2.0  # the standard deviation at the median is 1/2
    rows = torch.cat([at.points.flatten(1), z.flatten(1).to(at.points.dtype)])
    _, number = rows.unique(dim=0, return_inverse=True)
    counts = torch.bincount(number[len(probs) :], minlength=int(number.max()) + 1).to(probs)
    if counts.numel() > len(probs):
        return math.inf  # some sample is not a state
    expected = torch.zeros_like(counts).index_add_(0, number[: len(probs)], probs) * len(z)
    rare = expected < RARE
    counts, expected = (torch.cat([v[~rare], v[rare].sum(0, keepdim=True)]) for v in (counts, expected))
    error = (expected * (1 - expected / len(z))).clamp(min=1).sqrt()
    return float(((counts - expected).abs() / error).max())
