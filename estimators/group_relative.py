"""Group-relative advantages, as language models are trained with: GRPO, Dr. GRPO and MaxRL.

* Z. Shao et al., DeepSeekMath: Pushing the Limits of Mathematical Reasoning in Open Language Models, 2024,
  arXiv:2402.03300: GRPO, scale "std".
* Z. Liu, C. Chen, W. Li, P. Qi, T. Pang, C. Du, W. S. Lee, M. Lin, Understanding R1-Zero-Like Training: A Critical
  Perspective, COLM 2025, arXiv:2503.20783: Dr. GRPO, scale "none".
* F. Tajwar, G. Zeng, Y. Zhou, Y. Song, D. Arora, Y. Jiang, J. Schneider, R. Salakhutdinov, H. Feng, A. Zanette, Maximum
  Likelihood Reinforcement Learning, 2026, arXiv:2602.02710: MaxRL, scale "mean".
* H. Zhou, K. Ye, E. Xu, J. Zhu, S. Gong, C. Shi, Demystifying Group Relative Policy Optimization: Its Policy Gradient
  is a U-Statistic, 2026, arXiv:2603.01162.
"""

import torch
from torch import Tensor

from estimators.base import Cost, Estimate, Estimator, Range
from estimators.latents import VQ, Bernoulli, Categorical, Gaussian, Latent, Sequence

SCALES = ("none", "std", "mean")


class GroupRelative(Estimator):
    """Score each sample by how much it beats the mean of its group, itself included, in units of the group's scale.

        1/K sum_k a_k d log q(z_k),   a_k = (cost(z_k) - mean cost) / scale
        scale = 1                                         "none"
                eps + standard deviation, with K - 1      "std"; a = 0 where all costs are equal
                eps + mean reward, that is -mean cost     "mean"; a = 0 where the mean reward is not above 0

    Biased. With scale "none" the mean is (K - 1) / K times the gradient, for every cost: RLOO, shrunk. With rewards of
    0 and 1 the mean stays parallel to the gradient of each example whose reward has the mean p, longer by the factor

        (K - 1) / K                                                         "none"
        E_j sqrt(j (K - j) (K - 1) / K^3) / (p (1 - p)),   j ~ Bin(K, p)    "std"
        (1 - (1 - p)^(K - 1)) / p                                           "mean"

    so that the bias lies between examples: the scaled ones weigh hard and easy examples otherwise than the expected
    reward does. At other costs the scaled ones turn the gradient of one example too. "mean" is made for rewards in
    [0, 1]: where a cost is no reward, as with every negative log-likelihood, the signal is 0. The decoder's gradient is
    unbiased. Cost evaluations per estimate: k.

    A smaller raw variance of one of them says nothing: divide it by the squared factor first.

    Args:
        k: samples in a group, 2 or more.
        scale: none, std or mean.
        eps: added to a scale, 0 or more; costs that should be equal and differ by rounding need it.
    """

    latents = (Gaussian, Bernoulli, Categorical, VQ, Sequence)
    unbiased = False
    evaluations = "k / 0"
    paper = "Shao et al. 2024; Liu et al. 2025; Tajwar et al. 2026"
    tunable = {"k": Range(2, 8)}

    def __init__(self, k: int = 4, scale: str = "none", eps: float = 0.0):
        super().__init__()
        if k < 2:
            raise ValueError(f"GroupRelative compares the samples of a group, so it needs k >= 2; got k={k}.")
        if scale not in SCALES:
            raise ValueError(f"GroupRelative divides by one of {', '.join(SCALES)}; got scale={scale}.")
        if eps < 0:
            raise ValueError(f"GroupRelative adds eps to a scale, so it needs eps >= 0; got eps={eps}.")
        self.k, self.scale, self.eps = k, scale, eps
        self.rewards = scale == "mean"

    def forward(self, q: Latent, cost: Cost, x: Tensor) -> Estimate:
        z = q.sample(self.k)  # [K, ..., B, *]
        c = cost(z)  # [K, ..., B]
        score = self._advantages(c.detach()) * q.log_prob(z)  # differentiates q
        return Estimate(loss=(score + c).mean(0), cost=c.mean(0))  # c differentiates the decoder

    def _advantages(self, c: Tensor) -> Tensor:
        """a_k `[K, ..., B]` of costs `c [K, ..., B]`."""
        above = c - c.mean(0)
        if self.scale == "none":
            return above
        if self.scale == "std":
            speaks, scale = (c != c[:1]).any(0), c.std(0)  # the mean of equal numbers may be off by rounding
        else:
            speaks, scale = c.mean(0) < 0, -c.mean(0)
        return torch.where(speaks, above / torch.where(speaks, scale + self.eps, 1), 0)
