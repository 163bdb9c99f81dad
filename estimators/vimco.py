"""VIMCO: the score function of a K-sample bound, with a baseline of its own for each sample.

* A. Mnih, D. J. Rezende, Variational Inference for Monte Carlo Objectives, ICML 2016, arXiv:1602.06725.
"""

import math

import torch
from torch import Tensor

from estimators.base import Cost, Estimate, Estimator
from estimators.bounds import bound, log_others
from estimators.latents import VQ, Bernoulli, Categorical, Gaussian, Latent, Sequence

MEANS = ("arithmetic", "geometric")


class VIMCO(Estimator):
    """Score each sample by how much the bound is above what it would be with a typical weight in its place.

        -sum_k (L_K - L_-k) d log q(z_k) + sum_k v_k d cost(z_k, q),   v = softmax(-cost)
        L_-k = log 1/K (mean of the other weights + sum of the other weights),   the mean arithmetic or geometric

    Unbiased for L_K: L_-k does not depend on z_k. At k = 2 both means are the other weight. Its `cost` is -L_K. Cost
    evaluations per estimate: k, none differentiated to z. The weight v_k of q's own log-probability has no control
    variate, so that the variance stays where one weight dominates.

    Args:
        k: samples of the bound, 2 or more.
        mean: arithmetic or geometric.
    """

    latents = (Gaussian, Bernoulli, Categorical, VQ, Sequence)
    unbiased = True
    objective = "iwae"
    evaluations = "k / 0"
    paper = "Mnih & Rezende 2016"

    def __init__(self, k: int = 5, mean: str = "geometric"):
        super().__init__()
        if k < 2:
            raise ValueError(f"VIMCO leaves one sample out, so it needs k >= 2; got k={k}.")
        if mean not in MEANS:
            raise ValueError(f"VIMCO replaces a weight by a mean of the others, {' or '.join(MEANS)}; got mean={mean}.")
        self.k, self.mean = k, mean

    def forward(self, q: Latent, cost: Cost, x: Tensor) -> Estimate:
        z = q.sample(self.k)  # [K, ..., B, *]
        c = cost(z, q)  # [K, ..., B]
        total = bound(c)  # [..., B]
        frozen = c.detach()
        others = log_others(frozen)  # [K, ..., B]
        if self.mean == "arithmetic":
            typical = others - math.log(self.k - 1)
        else:
            typical = (frozen - frozen.sum(0)) / (self.k - 1)
        without = torch.logaddexp(others, typical) - math.log(self.k)  # L_-k
        score = ((total.detach() - without) * q.log_prob(z)).sum(0)
        return Estimate(loss=-(score + total), cost=-total)  # total differentiates the decoder, and q in log w
