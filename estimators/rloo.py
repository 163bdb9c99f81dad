"""REINFORCE with the leave-one-out baseline.

* T. Salimans, D. A. Knowles, On Using Control Variates with Stochastic Approximation for Variational Bayes and its
  Connection to Stochastic Linear Regression, 2014, arXiv:1401.1022.
* W. Kool, H. van Hoof, M. Welling, Buy 4 REINFORCE Samples, Get a Baseline for Free!, ICLR 2019 workshop.
"""

from torch import Tensor

from estimators.base import Cost, Estimate, Estimator, Range
from estimators.latents import VQ, Bernoulli, Categorical, Gaussian, Latent, Sequence


class RLOO(Estimator):
    """Score each sample by how much it beats the mean of the others.

        1/K sum_k (cost(z_k) - b_k) d log q(z_k),   b_k = mean of the other K - 1 costs

    Unbiased: b_k does not depend on z_k. Cost evaluations per estimate: k.

    Args:
        k: samples per estimate, 2 or more.
    """

    latents = (Gaussian, Bernoulli, Categorical, VQ, Sequence)
    unbiased = True
    evaluations = "k / 0"
    paper = "Kool, van Hoof & Welling 2019"
    tunable = {"k": Range(2, 8)}

    def __init__(self, k: int = 4):
        super().__init__()
        if k < 2:
            raise ValueError(f"RLOO leaves one sample out, so it needs k >= 2; got k={k}.")
        self.k = k

    def forward(self, q: Latent, cost: Cost, x: Tensor) -> Estimate:
        z = q.sample(self.k)  # [K, ..., B, *]
        c = cost(z)  # [K, ..., B]
        baseline = (c.sum(0) - c) / (self.k - 1)
        score = (c - baseline).detach() * q.log_prob(z)  # differentiates q
        return Estimate(loss=(score + c).mean(0), cost=c.mean(0))  # c differentiates the decoder
