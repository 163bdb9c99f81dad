"""Sum and sample: k - 1 states drawn without replacement are summed exactly, one more stands for all the others.

* W. Kool, H. van Hoof, M. Welling, Estimating Gradients for Discrete Random Variables by Sampling without Replacement,
  ICLR 2020, arXiv:2002.06043 (with a random set).
* R. Liu, J. Regier, N. Tripuraneni, M. I. Jordan, J. McAuliffe, Rao-Blackwellized Stochastic Gradients for Discrete
  Distributions, ICML 2019, arXiv:1810.04777 (with the most probable states: `rao_blackwell_topk`).
"""

import torch
from torch import Tensor

from estimators.base import Cost, Estimate, Estimator
from estimators.latents import VQ, Categorical, OneHot
from estimators.without_replacement import joint_log_probs, remainder, scored, without_replacement


class SumAndSample(Estimator[OneHot]):
    """The score function summed over the first k - 1 states of a sample without replacement, and at the last.

        sum_{j<k} q(z_j) cost(z_j) d log q(z_j) + (1 - sum_{j<k} q(z_j)) cost(z_k) d log q(z_k)

    Each of the k is a joint state, a value of all D coordinates at once. Unbiased: given the first k - 1, the last has
    the distribution of q restricted to the others. At k = 1 it is REINFORCE, at k = all states exact. Decoder
    and `cost` are weighted alike. Cost evaluations per estimate: k.

    When not to use it: large latents, where k states hold next to none of the probability, so that it is REINFORCE
    with one sample and no baseline at k times the price.

    Args:
        k: states per estimate, 1 or more and at most the number of states.
    """

    latents = (Categorical, VQ)
    unbiased = True
    evaluations = "k / 0"
    paper = "Liu et al. 2019; Kool, van Hoof & Welling 2020"

    def __init__(self, k: int = 4):
        super().__init__()
        if k < 1:
            raise ValueError(f"SumAndSample needs k >= 1 states; got k={k}.")
        self.k = k

    def refuses(self, q: OneHot) -> str | None:  # type: ignore[override]
        if reason := super().refuses(q):
            return reason
        if self.k > q.states:
            return f"{self.name} draws k={self.k} different states, but this latent has {q.states}; lower k."
        return None

    def forward(self, q: OneHot, cost: Cost, x: Tensor) -> Estimate:
        z = without_replacement(q, self.k)  # [K, ..., B, D, C]
        summed = joint_log_probs(q, z[:-1])
        weights = torch.cat([summed.exp(), remainder(summed).unsqueeze(0)])
        log_q, c = scored(q, cost, z)  # [K, ..., B]
        weighted = weights.to(c.dtype) * c
        loss = weighted.detach() * log_q + weighted  # the latter differentiates the decoder
        return Estimate(loss=loss.sum(0), cost=weighted.sum(0))
