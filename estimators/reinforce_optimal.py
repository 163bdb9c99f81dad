"""The score function with the baseline of least variance, estimated from draws of its own.

* L. Weaver, N. Tao, The Optimal Reward Baseline for Gradient-Based Reinforcement Learning, UAI 2001, arXiv:1301.2315.
* E. Greensmith, P. L. Bartlett, J. Baxter, Variance Reduction Techniques for Gradient Estimates in Reinforcement
  Learning, JMLR 5, 2004.
"""

import torch
from torch import Tensor

from estimators.base import Cost, Estimate, Estimator, as_loss
from estimators.latents import VQ, Bernoulli, Categorical, Discrete, Gaussian, Latent


class ReinforceOptimal(Estimator):
    """Score each sample by its cost beyond the baseline that would minimise the variance.

        1/K sum_k (cost(z_k) - b) score_k,   b = sum_j weight_j cost(z_j) / sum_j weight_j

        score = d log q(z) / d q.natural,   weight = |score|^2 (scalar) | score^2 of that coordinate (per_dimension)

    where k runs over the samples and j over K' other, independent draws. Unbiased: b does not depend on z_k. With
    K' to infinity, b minimises the variance of all the estimates whose baseline is one number per example (and
    coordinate of q.natural); with few draws its own noise may cost more than it saves. The decoder's gradient comes
    from the k samples alone. Cost evaluations per estimate: k + baseline_draws.

    Differs from the papers, which keep running estimates of b over the steps of training.

    Args:
        k: samples per estimate, 1 or more.
        baseline_draws: K', independent draws that estimate b, 1 or more.
        baseline: scalar or per_dimension.
    """

    latents = (Gaussian, Bernoulli, Categorical, VQ)
    unbiased = True
    evaluations = "k + baseline_draws / 0"
    paper = "Weaver & Tao 2001; Greensmith, Bartlett & Baxter 2004"

    def __init__(self, k: int = 2, baseline_draws: int = 2, baseline: str = "scalar"):
        super().__init__()
        if k < 1 or baseline_draws < 1:
            raise ValueError(
                f"ReinforceOptimal needs k >= 1 and baseline_draws >= 1; got k={k}, baseline_draws={baseline_draws}."
            )
        if baseline not in ("scalar", "per_dimension"):
            raise ValueError(f"ReinforceOptimal has no baseline {baseline!r}; choose scalar or per_dimension.")
        self.k, self.baseline_draws, self.baseline = k, baseline_draws, baseline

    def forward(self, q: Latent, cost: Cost, x: Tensor) -> Estimate:
        z, others = q.sample(self.k), q.sample(self.baseline_draws)  # [K, ..., B, *], [K', ..., B, *]
        with torch.no_grad():
            b = self.estimated(q, cost, others)  # [..., B, *], units of 1 for a scalar
        c, units = cost(z), (..., *[None] * q.event_ndim)  # [K, ..., B]
        gradient = ((c.detach()[units] - b) * score(q, z)).mean(0)  # [..., B, *]
        return Estimate(loss=as_loss(q, gradient) + c.mean(0), cost=c.mean(0))  # c differentiates the decoder

    def estimated(self, q: Latent, cost: Cost, z: Tensor) -> Tensor:
        """The baseline from draws z `[K', ..., B, *]`: `[..., B, *]`, units of 1 for a scalar."""
        weight = score(q, z) ** 2
        if self.baseline == "scalar":
            weight = weight.sum(tuple(range(-q.event_ndim, 0)), keepdim=True)
        weighted = (weight * cost(z)[(..., *[None] * q.event_ndim)]).sum(0)
        return weighted / weight.sum(0).clamp(min=torch.finfo(weight.dtype).tiny)  # 0 where no score can be seen


def score(q: Latent, z: Tensor) -> Tensor:
    """d log q(z) / d q.natural `[K, ..., B, *]`, without gradient."""
    if isinstance(q, Discrete):
        return q.score(z)
    assert isinstance(q, Gaussian)
    noise = q.standardised(z).detach()
    return torch.cat([noise / q.std.detach(), noise**2 - 1], -1)
