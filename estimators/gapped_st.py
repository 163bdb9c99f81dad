"""Gapped straight-through: Gumbel noise replaced by the least that its sample asks for.

* T.-H. Fan, T.-C. Chi, A. I. Rudnicky, P. J. Ramadge, Training Discrete Deep Generative Models via Gapped
  Straight-Through Estimator, ICML 2022, arXiv:2206.07235.
"""

import torch
from torch import Tensor

from estimators.base import Cost, Estimate, Estimator, Range
from estimators.latents import Categorical


class GappedST(Estimator[Categorical]):
    """Forward the sample, backward the softmax of logits moved so that the sample leads by a gap.

        1/K sum_k d cost(z_k) / dz d softmax((logits + move_k) / temperature),   z_k ~ q
        logits + move_k = top                      for the category z_k, with top = the largest logit
                          min(logits, top - gap)   for the others

    where the move is held. The move is a function of the sample, so nothing else is drawn. Biased: the slope of the
    cost at the sample stands in for a difference of costs. The decoder's gradient is unbiased. Cost evaluations per
    estimate: k, each differentiated to z. The paper's gap that depends on the probability of the sample is not here.

    Args:
        k: samples per estimate, 1 or more.
        temperature: of the softmax, above 0.
        gap: by which the sample's logit leads all others, 0 or more.
    """

    latents = (Categorical,)
    unbiased = False
    evaluations = "k / k"
    paper = "Fan, Chi, Rudnicky & Ramadge 2022"
    tunable = {"temperature": Range(0.25, 4.0)}

    def __init__(self, k: int = 1, temperature: float = 1.0, gap: float = 1.0):
        super().__init__()
        if k < 1:
            raise ValueError(f"GappedST averages over samples, so it needs k >= 1; got k={k}.")
        if temperature <= 0:
            raise ValueError(f"A relaxation needs a temperature above 0; got temperature={temperature}.")
        if gap < 0:
            raise ValueError(f"GappedST lets the sample lead, so it needs gap >= 0; got gap={gap}.")
        self.k, self.temperature, self.gap = k, temperature, gap

    def forward(self, q: Categorical, cost: Cost, x: Tensor) -> Estimate:
        z, logits = q.sample(self.k), q.logits.detach()  # [K, ..., B, D, C], [..., B, D, C]
        top = logits.amax(-1, keepdim=True)
        moved = torch.where(z > 0.5, top, torch.minimum(logits, top - self.gap))  # [K, ..., B, D, C]
        soft = q.soften(moved + (q.logits - logits), self.temperature)
        c = cost(z + (soft - soft.detach())).mean(0)  # the bracket is exactly 0: the point stays discrete
        return Estimate(loss=c, cost=c)  # c differentiates q and the decoder
