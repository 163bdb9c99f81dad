"""Sticking the landing: the path derivative.

* G. Roeder, Y. Wu, D. K. Duvenaud, Sticking the Landing: Simple, Lower-Variance Gradient Estimators for Variational
  Inference, NeurIPS 2017, arXiv:1703.09194.
"""

from torch import Tensor

from estimators.base import Cost, Estimate, Estimator
from estimators.latents import Gaussian


class STL(Estimator[Gaussian]):
    """Reparameterise, but freeze q's parameters inside log q(z).

        1/K sum_k d cost(z_k),   z_k = mean + std * noise_k,   cost(z) = log q(z) - log p(x, z) with q frozen

    Unbiased: what it drops is the score of q, whose mean is 0. Zero variance where q is the posterior; with an analytic
    KL there is no log q(z) to freeze and it would be plain reparameterisation. Cost evaluations per estimate: k, with
    as many backward passes to z.

    Args:
        k: samples per estimate.
    """

    latents = (Gaussian,)
    unbiased = True
    evaluations = "k / k"
    paper = "Roeder, Wu & Duvenaud 2017"
    kl = "sampled"

    def __init__(self, k: int = 1):
        super().__init__()
        if k < 1:
            raise ValueError(f"STL needs k >= 1 samples; got k={k}.")
        self.k = k

    def forward(self, q: Gaussian, cost: Cost, x: Tensor) -> Estimate:
        c = cost(q.rsample(self.k))  # [K, ..., B]
        return Estimate(loss=c.mean(0), cost=c.mean(0))
