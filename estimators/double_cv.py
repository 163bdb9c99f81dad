"""Double control variates: the leave-one-out score function with a control variate on each cost and each baseline.

* M. K. Titsias, J. Shi, Double Control Variates for Gradient Estimation in Discrete Latent Variable Models, AISTATS
  2022, arXiv:2111.05300.
"""

import torch
from torch import Tensor, nn

from estimators.base import Cost, Estimate, Estimator, Range, as_loss
from estimators.latents import Bernoulli


class DoubleCV(Estimator[Bernoulli]):
    """Subtract from each cost what the other samples' slopes predict, and add the mean of that back.

        1/K sum_k (f_k - mean of the other f_j) (z_k - p) + s p (1 - p) (mean slope)

        f_k = cost(z_k) - s slope_k . (z_k - p),   slope_k = mean of d cost(z_j) / dz over the other K - 1 samples

    Unbiased for every scale s that the current samples do not enter: slope_k does not depend on z_k, so its part of the
    score term has mean s p (1 - p) E slope_k; its part of a baseline has mean 0. RLOO at s = 0. `tuning` is the squared
    norm of the estimate with respect to the logits; the mean is fixed, so its expectation is the variance up to a
    constant. Cost evaluations per estimate: k, each differentiated to z.

    Differs from the paper in the sign of s, so that s = 1 removes all of a linear cost. Do not use it where the cost
    means nothing between the states: its slopes there are arbitrary, and s then goes to 0 at best.

    Args:
        k: samples per estimate, 2 or more.
        scale: s at the start.
        learn: train s by `tuning`, on past steps only; otherwise it stays, and there is no `tuning`.
    """

    latents = (Bernoulli,)
    unbiased = True
    evaluations = "k / k"
    paper = "Titsias & Shi 2022"
    tunable = {"k": Range(2, 8), "scale": Range(0.0, 1.0, log=False)}

    def __init__(self, k: int = 2, scale: float = 0.0, learn: bool = True):
        super().__init__()
        if k < 2:
            raise ValueError(f"DoubleCV leaves one sample out, so it needs k >= 2; got k={k}.")
        self.k, self.learn = k, learn
        self.scale = nn.Parameter(torch.tensor(float(scale)), requires_grad=learn)

    def forward(self, q: Bernoulli, cost: Cost, x: Tensor) -> Estimate:
        z, p = q.sample(self.k), q.probs.detach()  # [K, ..., B, D], [..., B, D]
        c, pull_back = torch.func.vjp(cost, z)  # type: ignore[misc]  # [K, ..., B]
        with torch.no_grad():
            (slope,) = pull_back(torch.ones_like(c))  # [K, ..., B, D]
        others = (slope.sum(0) - slope) / (self.k - 1)
        reward = c.detach() - self.scale * (others * (z - p)).sum(-1)
        baseline = (reward.sum(0) - reward) / (self.k - 1)
        score = ((reward - baseline).unsqueeze(-1) * q.score(z)).mean(0)
        gradient = score + self.scale * q.jacobian(slope.mean(0))
        tuning = (gradient**2).sum(-1) if self.learn else None  # [..., B]
        return Estimate(as_loss(q, gradient) + c.mean(0), c.mean(0), tuning)  # c differentiates the decoder
