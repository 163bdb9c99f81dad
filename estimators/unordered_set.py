"""The unordered set estimator: k different states, weighted by how likely each was the first to be drawn.

* W. Kool, H. van Hoof, M. Welling, Estimating Gradients for Discrete Random Variables by Sampling without Replacement,
  ICLR 2020, arXiv:2002.06043.
"""

import torch
from torch import Tensor

from estimators.base import Cost, Estimate, Estimator
from estimators.latents import VQ, Categorical, OneHot
from estimators.without_replacement import joint_log_probs, order, remainder, scored, successors, without_replacement

LARGEST = 12  # k whose 2 ** k subsets are still a fair sum


class UnorderedSet(Estimator[OneHot]):
    """The score function at k states drawn without replacement, averaged over the orders they may have come in.

        sum_s first_s (cost(z_s) - b_s) d log q(z_s),   first_s = P(z_s was drawn first | the set)

    The set holds joint states: each is a value of all D coordinates at once, and no two agree in every coordinate.

    With `baseline`, b_s = q(z_s) cost(z_s) + (1 - q(z_s)) sum_t second_st cost(z_t), where second_st is the probability
    that z_t came next if z_s came first; without it, 0.

    Unbiased: the first draw has the distribution q, so this is REINFORCE with one sample, its expectation taken given
    the set; and given s first, the mean of b_s is E cost, whatever s. So first_s = p(s) R(S, s) and b_s are those of
    the paper. At k = 1 it is REINFORCE, at k = all states exact; where q is spread over many states, first_s is close
    to 1/k and the baseline to leave-one-out. Decoder and `cost` weigh the states by first_s. Cost evaluations per
    estimate: k.

    When not to use it: large latents, where k independent samples are all different anyway. The baseline may raise the
    variance. The weights are exact sums over 2 ** k subsets.

    Args:
        k: states per estimate, from 1 (2 with the baseline) to 12 and at most the number of states.
        baseline: subtract b_s.
    """

    latents = (Categorical, VQ)
    unbiased = True
    evaluations = "k / 0"
    paper = "Kool, van Hoof & Welling 2020"

    def __init__(self, k: int = 4, baseline: bool = True):
        super().__init__()
        if not 1 + baseline <= k <= LARGEST:
            raise ValueError(
                f"UnorderedSet with baseline={baseline} needs k from {1 + baseline} to {LARGEST}, since it sums over "
                f"2 ** k subsets; got k={k}."
            )
        self.k, self.baseline = k, baseline

    def refuses(self, q: OneHot) -> str | None:  # type: ignore[override]
        if reason := super().refuses(q):
            return reason
        if self.k > q.states:
            return f"{self.name} draws k={self.k} different states, but this latent has {q.states}; lower k."
        return None

    def forward(self, q: OneHot, cost: Cost, x: Tensor) -> Estimate:
        z = without_replacement(q, self.k)  # [K, ..., B, D, C]
        log_p = joint_log_probs(q, z)  # [K, ..., B]
        log_q, c = scored(q, cost, z)
        rest = remainder(log_p)
        first, second = order(log_p, torch.zeros_like(rest) if self.k == q.states else rest)
        signal = c.detach()
        if self.baseline:
            others = (second.to(c.dtype) * signal[successors(self.k, 1, c.device)[0]]).sum(1)  # [K, ..., B]
            signal = -torch.expm1(log_p).to(c.dtype) * (signal - others)  # cost - b
        loss = first.to(c.dtype) * (signal * log_q + c)  # c differentiates the decoder
        return Estimate(loss=loss.sum(0), cost=(first.to(c.dtype) * c).sum(0))
