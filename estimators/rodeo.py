"""RODEO: the leave-one-out score function with control variates from a discrete Stein operator.

* J. Shi, Y. Zhou, J. Hwang, M. K. Titsias, L. Mackey, Gradient Estimation with Discrete Stein Operators, NeurIPS 2022,
  arXiv:2202.09497.
"""

import torch
from torch import Tensor, nn

from estimators.base import Cost, Estimate, Estimator, Range, as_loss
from estimators.latents import Bernoulli


class Rodeo(Estimator[Bernoulli]):
    """Add learned functions whose mean under q is 0 to each baseline and to each sample's score term.

        1/K sum_k (cost(z_k) - mean of (cost(z_j) + s A h_j(z_j)) over the others) (z_k - p) + t A [g_k (z - p)](z_k)

        A h(z) = 1/D sum_i q(z_i flipped | rest) (h(z with z_i flipped) - h(z))

        h_k(z), g_k(z) = mean of network(cost(z_j), d cost(z_j) / dz . (z - z_j)) over the other K - 1 samples

    Unbiased for all coefficients s, t and networks that the current samples do not enter: h_k and g_k do not depend on
    z_k, and A, the operator of Gibbs sampling, gives every function mean 0 under q. RLOO at s = t = 0, where it starts.
    `tuning` is the squared norm of the estimate with respect to the logits; the mean is fixed, so its expectation is
    the variance up to a constant. Cost evaluations per estimate: k, each differentiated to z; the network is evaluated
    at all D flips of each sample, K (K - 1) (D + 1) times per example.

    Do not use it where the cost is cheap: the network then takes most of the time, and D flips of K (K - 1) pairs most
    of the memory.

    Args:
        k: samples per estimate, 2 or more.
        hidden: units of the network's hidden layer. It and s, t learn by `tuning`, from past steps only.
    """

    latents = (Bernoulli,)
    unbiased = True
    evaluations = "k / k"
    paper = "Shi et al. 2022"
    tunable = {"k": Range(2, 8)}

    def __init__(self, k: int = 2, hidden: int = 100):
        super().__init__()
        if k < 2:
            raise ValueError(f"Rodeo leaves one sample out, so it needs k >= 2; got k={k}.")
        if hidden < 1:
            raise ValueError(f"Rodeo's network needs hidden >= 1 units; got hidden={hidden}.")
        self.k = k
        self.scales = nn.Parameter(torch.zeros(2))  # s and t
        self.network = nn.Sequential(nn.Linear(2, hidden), nn.LeakyReLU(0.3), nn.Linear(hidden, 2))  # to h and g

    def forward(self, q: Bernoulli, cost: Cost, x: Tensor) -> Estimate:
        z, p = q.sample(self.k), q.probs.detach()  # [K, ..., B, D], [..., B, D]
        c, pull_back = torch.func.vjp(cost, z)  # type: ignore[misc]  # [K, ..., B]
        with torch.no_grad():
            (slope,) = pull_back(torch.ones_like(c))  # [K, ..., B, D]
        stein, vector = self._stein(z, p, c.detach(), slope)
        reward = c.detach() + self.scales[0] * stein
        baseline = (reward.sum(0) - reward) / (self.k - 1)
        score = (c.detach() - baseline).unsqueeze(-1) * q.score(z)
        gradient = (score + self.scales[1] * vector).mean(0)
        tuning = (gradient**2).sum(-1)  # [..., B]
        return Estimate(as_loss(q, gradient) + c.mean(0), c.mean(0), tuning)  # c differentiates the decoder

    def _stein(self, z: Tensor, p: Tensor, c: Tensor, slope: Tensor) -> tuple[Tensor, Tensor]:
        """A h_k(z_k) `[K, ..., B]` and A [g_k (z - p)](z_k) `[K, ..., B, D]`."""
        index = torch.arange(self.k, device=z.device)
        others = (index[:, None] + index[1:]) % self.k  # [K, K - 1]
        rate = p * (1 - z) + (1 - p) * z  # q(z_i flipped | rest) [K, ..., B, D]
        turn = (1 - 2 * z) * (rate > 0)  # by how much a flip changes each bit; a certain bit does not flip
        step = (slope[others] * (z.unsqueeze(1) - z[others])).sum(-1, keepdim=True)  # [K, K - 1, ..., B, 1]
        steps = torch.cat([step, step + slope[others] * turn.unsqueeze(1)], -1)  # [K, K - 1, ..., B, 1 + D]
        near = torch.stack([c[others].unsqueeze(-1).expand_as(steps), steps], -1)
        here, flipped = self.network(near).mean(1).split([1, z.shape[-1]], -2)  # [K, ..., B, 1 | D, 2]
        h, g = (rate.unsqueeze(-1) * (flipped - here)).mean(-2).unbind(-1)  # [K, ..., B]
        own = rate * flipped[..., 1] * turn / z.shape[-1]  # a flip also changes its own coordinate of z - p
        return h, g.unsqueeze(-1) * (z - p) + own
