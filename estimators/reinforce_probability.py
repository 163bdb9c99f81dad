"""The score function with the likelihood itself as reward, in place of its logarithm.

An idea without a paper, measured for what it is: p(x|z) lies between 0 and 1 where log p(x|z) has no lower bound.
"""

import torch
from torch import Tensor

from estimators.base import Cost, Estimate, Estimator
from estimators.latents import VQ, Bernoulli, Categorical, Gaussian, Latent, Sequence


class ReinforceProbability(Estimator):
    """Score each sample by the probability it gives to a pixel, the geometric mean over the X pixels of x.

        1/K sum_k (1/2 - reward_k) d log q(z_k),   reward = p(x|z)^(1/X) = exp(-cost(z) / X)

    Unbiased for the gradient of -E p(x|z)^(1/X), to which the 1/2 adds nothing: it is a constant baseline. Biased for
    the expected cost, E -log p(x|z): the reward is another function of z, and its slope in the cost is -reward / X
    instead of -1. So the estimate is about X / reward times smaller than that of the ELBO and weighs good samples more,
    while the KL that is added in nats stays as it is. The decoder has the gradient of the cost. Binary pixels have
    probabilities, so the reward lies in [0, 1]; densities of real-valued pixels may exceed 1.
    Cost evaluations per estimate: k.

    When not to use it: to train. At the KL's full weight the encoder tends to ignore the data.

    Args:
        k: samples per estimate, 1 or more.
    """

    latents = (Gaussian, Bernoulli, Categorical, VQ, Sequence)
    unbiased = False
    evaluations = "k / 0"
    kl = "analytic"  # the cost must be -log p(x|z) alone

    def __init__(self, k: int = 1):
        super().__init__()
        if k < 1:
            raise ValueError(f"ReinforceProbability averages over samples, so it needs k >= 1; got k={k}.")
        self.k = k

    def forward(self, q: Latent, cost: Cost, x: Tensor) -> Estimate:
        z = q.sample(self.k)  # [K, ..., B, *]
        c = cost(z)  # [K, ..., B]
        reward = torch.exp(-c.detach() / x.shape[-1])
        score = (0.5 - reward) * q.log_prob(z)  # differentiates q
        return Estimate(loss=(score + c).mean(0), cost=c.mean(0))  # c differentiates the decoder
