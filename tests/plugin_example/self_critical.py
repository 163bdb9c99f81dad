"""Self-critical REINFORCE: a sample is as good as it beats the most probable one.

* S. J. Rennie, E. Marcheret, Y. Mroueh, J. Ross, V. Goel, Self-critical Sequence Training for Image Captioning, CVPR
  2017, arXiv:1612.00563.
"""

import torch
from torch import Tensor

from estimators import VQ, Bernoulli, Categorical, Cost, Estimate, Estimator
from estimators.latents import Discrete


class SelfCritical(Estimator[Discrete]):
    """Score each sample by how much it beats the most probable one of its example.

        1/K sum_k (cost(z_k) - cost(mode)) d log q(z_k),   mode = the most probable z under q

    Unbiased: the mode does not depend on the samples. Cost evaluations per estimate: k + 1.
    Do not use it where q is nearly uniform: the cost of the mode then says little about the mean cost.

    Args:
        k: samples per estimate, 1 or more.
    """

    latents = (Bernoulli, Categorical, VQ)
    unbiased = True
    evaluations = "k + 1 / 0"
    paper = "Rennie et al. 2017"

    def __init__(self, k: int = 1):
        super().__init__()
        if k < 1:
            raise ValueError(f"SelfCritical averages over samples, so it needs k >= 1; got k={k}.")
        self.k = k

    def forward(self, q: Discrete, cost: Cost, x: Tensor) -> Estimate:
        z = q.sample(self.k)  # [K, ..., B, *]
        c = cost(z)  # [K, ..., B]
        with torch.no_grad():
            baseline = cost(q.harden(q.logits).unsqueeze(0))  # [1, ..., B]
        score = (c - baseline).detach() * q.log_prob(z)  # differentiates q
        return Estimate(loss=(score + c).mean(0), cost=c.mean(0))  # c differentiates the decoder
