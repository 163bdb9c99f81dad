"""CARMS: the leave-one-out score function on K mutually antithetic categorical samples.

* A. Dimitriev, M. Zhou, CARMS: Categorical-Antithetic-REINFORCE Multi-Sample Gradient Estimator, NeurIPS 2021,
  arXiv:2110.14002.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from estimators.base import Cost, Estimate, Estimator, Range
from estimators.disarm_iw import stopped
from estimators.latents import VQ, Categorical, OneHot

COPULAS = ("dirichlet", "independent")


class Carms(Estimator[OneHot]):
    """Score the coordinates in which two coupled samples differ by the difference of their costs, for every pair.

        1/(K (K-1)) sum_{m<n} (cost(z_m) - cost(z_n)) (z_m - z_n)_d weight_mnd

        weight = q(a) q(b) / P(a, b), for the categories a, b of the two samples

    Each sample breaks a stick: category by category, in rising order of probability, it stops where its uniform is
    below the probability of that category among those left. The K uniforms of one category come from the Dirichlet
    copula, which keeps them apart. With s the probability to stop, at the first category i at which one of the two
    stops and the other does not, and Phi(s) = max(2 s^(1/(K-1)) - 1, 0)^(K-1) the probability that both stop,

        weight = (1 - s_i) s_i / (s_i - Phi(s_i)) prod_{m < i} (1 - s_m)^2 / (1 - 2 s_m + Phi(s_m))

    Unbiased: for independent samples this is leave-one-out, and importance weights make every coupled pair of a
    coordinate count like an independent one; a pair of equal categories counts nothing. For two categories it is ARMS,
    for k = 2 DisARM by importance weights, with independent uniforms RLOO. The decoder's gradient is the mean over the
    samples. Cost evaluations per estimate: k.

    Differs from the paper's experiments in the way from uniforms to categories: sticks, which the authors' code has
    too, not the inverse distribution function over random orders of the categories, nor Gumbel's.

    Args:
        k: samples per estimate, all antithetic to one another, 2 or more.
        copula: dirichlet, or independent, where nothing is coupled.
    """

    latents = (Categorical, VQ)
    unbiased = True
    evaluations = "k / 0"
    paper = "Dimitriev & Zhou 2021"
    tunable = {"k": Range(2, 8)}

    def __init__(self, k: int = 4, copula: str = "dirichlet"):
        super().__init__()
        if k < 2:
            raise ValueError(f"Carms draws samples that are antithetic to one another, so it needs k >= 2; got k={k}.")
        if copula not in COPULAS:
            raise ValueError(f"Carms couples its uniforms by one of {', '.join(COPULAS)}; got copula={copula}.")
        self.k, self.copula = k, copula

    def forward(self, q: OneHot, cost: Cost, x: Tensor) -> Estimate:
        probs, rank = q.probs.detach().sort(-1)  # [..., B, D, C], rising
        stop = (probs / probs.flip(-1).cumsum(-1).flip(-1))[..., :-1].clamp(max=0.5)  # [..., B, D, C - 1]
        exponential = torch.exp(-q.gumbel(self.k))[..., :-1]  # [K, ..., B, D, C - 1]
        coupled = self.copula == "dirichlet"
        first = stopped((apart(exponential) if coupled else torch.exp(-exponential)) < stop)  # [K, ..., B, D]
        categories = torch.arange(probs.shape[-1], device=probs.device)
        chosen = rank.expand(self.k, *rank.shape).gather(-1, first.unsqueeze(-1))
        z = (chosen == categories).to(probs.dtype)  # [K, ..., B, D, C]
        c = cost(z)  # [K, ..., B]
        signal = self._signal(c.detach(), first, pair_weights(stop, self.k) if coupled else None)
        gradient = (signal.unsqueeze(-1) * z).sum(0) / (self.k * (self.k - 1))  # sums to 0 over the categories
        score = (gradient * q.log_probs).sum((-2, -1))  # differentiates q
        return Estimate(loss=score + c.mean(0), cost=c.mean(0))  # c differentiates the decoder

    def _signal(self, c: Tensor, first: Tensor, weights: Tensor | None) -> Tensor:
        """sum_n weight_mn (c_m - c_n) `[K, ..., B, D]`."""
        above = (c.unsqueeze(1) - c).unsqueeze(-1)  # [K, K, ..., B, 1]
        if weights is None:
            return above.sum(1).expand_as(first)
        earlier = torch.minimum(first.unsqueeze(1), first).unsqueeze(-1)  # [K, K, ..., B, D, 1]
        weight = weights.expand(*earlier.shape[:-1], -1).gather(-1, earlier).squeeze(-1)
        return (weight * above).sum(1)


def apart(exponential: Tensor) -> Tensor:
    """K mutually antithetic uniforms `[K, ...]` from as many standard exponentials: the Dirichlet copula."""
    k = exponential.shape[0]
    others_alone = 1 - torch.eye(k, dtype=exponential.dtype, device=exponential.device)
    others = torch.tensordot(others_alone, exponential, 1)  # no cancellation where one dominates
    return (others / exponential.sum(0)) ** (k - 1)


def pair_weights(stop: Tensor, k: int) -> Tensor:
    """Weights `[..., C]` of pairs of different categories by the earlier's position; the last is never the earlier.

    Phi(s) / s is (2 - s^(-1/(K-1)))^(K-1) where that base is above 0: a small s is harmless.
    """
    both = (2 - stop ** (-1 / (k - 1))).clamp(min=0) ** (k - 1)  # Phi(s) / s
    one = torch.log1p(-stop) - torch.log1p(-both)
    earlier = stop[..., :-1]  # the last but one category may stop at 1/2, so that never both go on
    both_go_on = 2 * torch.log1p(-earlier) - torch.log1p(earlier * (both[..., :-1] - 2))
    before = F.pad(both_go_on.cumsum(-1), (1, 0))  # [..., C - 1]
    return F.pad((before + one).exp(), (0, 1))
