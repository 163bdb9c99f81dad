"""ARMS: the leave-one-out score function on K mutually antithetic samples.

* A. Dimitriev, M. Zhou, ARMS: Antithetic-REINFORCE-Multi-Sample Gradient for Binary Variables, ICML 2021,
  arXiv:2105.14141.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from estimators.base import Cost, Estimate, Estimator, Range, as_loss
from estimators.latents import Bernoulli


class Arms(Estimator[Bernoulli]):
    """The covariance of costs and bits over K antithetic samples, divided by one minus the correlation of the bits.

        1/(K-1) sum_k (cost(b_k) - mean cost) b_k / (1 - rho),   rho = correlation of two samples' bits

    Unbiased: two samples' bits differ with probability 2 p (1 - p) (1 - rho), and then their costs differ on average by
    what the bit is worth, since the other coordinates are drawn independently. Disarm at k = 2; RLOO where rho = 0,
    which it tends to as k grows. Cost evaluations per estimate: k.

    The bits come from the Dirichlet copula alone, not from the Gaussian one that the paper also gives. The rarer value
    of a bit is the one that happens where the copula is below min(p, 1 - p): rho is more negative than the other way
    round. Do not use it where the spread of an example's costs is needed too: they are not independent.

    Args:
        k: samples per estimate, all antithetic to one another, 2 or more.
    """

    latents = (Bernoulli,)
    unbiased = True
    evaluations = "k / 0"
    paper = "Dimitriev & Zhou 2021"
    tunable = {"k": Range(2, 8)}

    def __init__(self, k: int = 4):
        super().__init__()
        if k < 2:
            raise ValueError(f"Arms draws samples that are antithetic to one another, so it needs k >= 2; got k={k}.")
        self.k = k

    def forward(self, q: Bernoulli, cost: Cost, x: Tensor) -> Estimate:
        logits = q.logits.detach()
        rare = (dirichlet_copula(q.uniform(self.k)) < torch.sigmoid(-logits.abs())).to(logits.dtype)
        b = torch.where(logits < 0, rare, 1 - rare)  # [K, ..., B, D]
        c = cost(b)  # [K, ..., B]
        score = (c - c.mean(0)).detach() / (self.k - 1)
        gradient = (score.unsqueeze(-1) * b).sum(0) * decorrelation(logits, self.k)
        return Estimate(loss=as_loss(q, gradient) + c.mean(0), cost=c.mean(0))  # c differentiates the decoder


def dirichlet_copula(u: Tensor) -> Tensor:
    """K mutually antithetic uniforms `[K, ...]` from K independent ones: at K = 2 they sum to 1.

    -log u over their sum is uniform on the simplex, and a coordinate of it exceeds t with probability (1 - t)^(K - 1).
    """
    shares = u.log()
    return (1 - shares / shares.sum(0)) ** (u.shape[0] - 1)


def decorrelation(logits: Tensor, k: int) -> Tensor:
    """1 / (1 - rho) `[..., B, D]` of k bits from the Dirichlet copula, whose rarer value has probability m.

    It happens where a coordinate on the simplex exceeds 1 - m^(1/(k-1)), and two exceed it together with probability
    max(2 m^(1/(k-1)) - 1, 0)^(k-1). Divided by m here, so that a small m is harmless.
    """
    root = torch.exp(-F.logsigmoid(-logits.abs()) / (k - 1))  # m^(-1/(k-1))
    return torch.sigmoid(logits.abs()) / (1 - (2 - root).clamp(min=0) ** (k - 1))
