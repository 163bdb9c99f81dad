"""OVIS: the score function of a K-sample bound, with control variates made for many samples.

* V. Lievin, A. Dittadi, A. Christensen, O. Winther, Optimal Variance Control of the Score Function Gradient Estimator
  for Importance Weighted Bounds, NeurIPS 2020, arXiv:2008.01998.
* Daudel et al., Importance Weighted Variational Inference without the Reparameterization Trick, 2026, arXiv:2602.01412:
  VIMCO-*, which is OVIS at gamma = 0.
"""

import math

import torch
from torch import Tensor

from estimators.base import Cost, Estimate, Estimator
from estimators.bounds import bound, log_others
from estimators.latents import VQ, Bernoulli, Categorical, Gaussian, Latent, Sequence


class OVIS(Estimator):
    """The control variate that is optimal as K grows, in closed form.

        q:        -sum_k (L_K - v_k - b_k) d log q(z_k),   v = softmax(-cost),   z_k ~ q
                  b_k = log mean of the other weights - gamma v_k + (1 - gamma) log(1 - 1/K)
        decoder:  sum_k v_k d cost(z_k)

    L_K - v_k is the signal whose score estimate is unbiased for L_K, so the estimate is unbiased at gamma = 0, where
    b_k does not depend on z_k. Above that b_k contains v_k, and the mean is the gradient of L_K plus gamma times that
    of reweighted wake-sleep: another objective for q, which does not fade as K grows. The decoder's gradient is
    unbiased for L_K at every gamma. Its `cost` is -L_K. Cost evaluations per estimate: k, none differentiated to z.
    The paper's annealed Renyi bound is not here.

    Args:
        k: samples of the bound, 2 or more.
        gamma: 0 to 1; the paper's limits are 1 for many effective samples and 0 for about one.
    """

    latents = (Gaussian, Bernoulli, Categorical, VQ, Sequence)
    unbiased = False
    objective = "iwae"
    evaluations = "k / 0"
    paper = "Lievin et al. 2020"

    def __init__(self, k: int = 5, gamma: float = 1.0):
        super().__init__()
        if k < 2:
            raise ValueError(f"OVIS leaves one sample out, so it needs k >= 2; got k={k}.")
        if not 0 <= gamma <= 1:
            raise ValueError(f"OVIS interpolates between two limits, so gamma is 0 to 1; got gamma={gamma}.")
        self.k, self.gamma, self.unbiased = k, gamma, gamma == 0

    def forward(self, q: Latent, cost: Cost, x: Tensor) -> Estimate:
        z = q.sample(self.k)  # [K, ..., B, *]
        c = cost(z)  # [K, ..., B]
        total, frozen = bound(c), c.detach()  # [..., B], [K, ..., B]
        shrink = math.log(1 - 1 / self.k)
        above = total.detach() - (log_others(frozen) - math.log(self.k - 1))  # log(1 - 1/K) - log(1 - v_k)
        signal = above - (1 - self.gamma) * (torch.softmax(-frozen, 0) + shrink)
        score = (signal * q.log_prob(z)).sum(0)
        return Estimate(loss=-(score + total), cost=-total)  # total differentiates the decoder alone


class OVISMonteCarlo(Estimator):
    """The control variate that is the mean of the signal over a fresh sample in the place of z_k.

        q:        -sum_k (L_K - v_k - b_k) d log q(z_k),   v = softmax(-cost),   z_k ~ q
                  b_k = 1/S sum_s (L_K - v_k at z_k = z'_s),   z'_s ~ q
        decoder:  sum_k v_k d cost(z_k)

    Unbiased for L_K: b_k does not depend on z_k. Its `cost` is -L_K. Cost evaluations per estimate: k + draws, none
    differentiated to z; the additional ones serve b_k alone.

    Args:
        k: samples of the bound, 2 or more.
        draws: S additional samples, shared by all k control variates.
    """

    latents = (Gaussian, Bernoulli, Categorical, VQ)
    unbiased = True
    objective = "iwae"
    evaluations = "k + draws / 0"
    paper = "Lievin et al. 2020"

    def __init__(self, k: int = 5, draws: int = 1):
        super().__init__()
        if k < 2 or draws < 1:
            raise ValueError(f"OVISMonteCarlo needs k >= 2 samples and draws >= 1; got k={k}, draws={draws}.")
        self.k, self.draws = k, draws

    def forward(self, q: Latent, cost: Cost, x: Tensor) -> Estimate:
        z = q.sample(self.k)  # [K, ..., B, *]
        c = cost(z)  # [K, ..., B]
        total, frozen = bound(c), c.detach()
        with torch.no_grad():
            fresh = -cost(q.sample(self.draws)).unsqueeze(1)  # [S, 1, ..., B]
            replaced = torch.logaddexp(log_others(frozen), fresh)  # [S, K, ..., B]
            baseline = (replaced - math.log(self.k) - (fresh - replaced).exp()).mean(0)
        signal = total.detach() - torch.softmax(-frozen, 0) - baseline
        score = (signal * q.log_prob(z)).sum(0)
        return Estimate(loss=-(score + total), cost=-total)  # total differentiates the decoder alone
