"""The 1/2-estimator of deep autoregressive networks.

* K. Gregor, I. Danihelka, A. Mnih, C. Blundell, D. Wierstra, Deep AutoRegressive Networks, ICML 2014,
  arXiv:1310.8499.
"""

from torch import Tensor

from estimators.base import Cost, Estimate, Estimator
from estimators.latents import Bernoulli


class Darn(Estimator[Bernoulli]):
    """Score each bit by the slope of the cost times half a step.

        1/K sum_k d cost(b_k) / db_k (b_k - 1/2) (b_k - p),   b_k ~ q

    It is the score function (cost - baseline) (b - p) of each bit, with the baseline cost + (1/2 - b) d cost / db, a
    Taylor step from the sample to 1/2. Biased, by the third order: the baseline depends on b, but the error cancels
    where the cost is quadratic in each bit, products of bits included. ReinMax at temperature 1 is the same on bits.
    The decoder's gradient is unbiased. Cost evaluations per estimate: k, each differentiated to z.

    Args:
        k: samples per estimate, 1 or more.
    """

    latents = (Bernoulli,)
    unbiased = False
    evaluations = "k / k"
    paper = "Gregor et al. 2014"

    def __init__(self, k: int = 1):
        super().__init__()
        if k < 1:
            raise ValueError(f"Darn averages over samples, so it needs k >= 1; got k={k}.")
        self.k = k

    def forward(self, q: Bernoulli, cost: Cost, x: Tensor) -> Estimate:
        b = q.sample(self.k)  # [K, ..., B, D]
        move = q.logits - q.logits.detach()  # 0, with gradient
        c = cost(b + (b - 0.5) * q.score(b) * move).mean(0)  # [..., B]
        return Estimate(loss=c, cost=c)  # c differentiates q and the decoder
