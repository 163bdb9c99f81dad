"""MuProp: the score function with the cost's expansion around the mean as a control variate.

* S. Gu, S. Levine, I. Sutskever, A. Mnih, MuProp: Unbiased Backpropagation for Stochastic Neural Networks, ICLR 2016,
  arXiv:1511.05176.
* G. Tucker, A. Mnih, C. J. Maddison, D. Lawson, J. Sohl-Dickstein, REBAR: Low-variance, unbiased gradient estimates for
  discrete latent variable models, NeurIPS 2017, arXiv:1703.07370 (without the linear term: SimpleMuProp).
"""

import torch
from torch import Tensor

from estimators.base import Cost, Estimate, Estimator, as_loss
from estimators.latents import Bernoulli, Categorical, Discrete


class Muprop(Estimator[Discrete]):
    """Subtract the cost's linear expansion around the mean from the score term, and add its exact gradient back.

        1/K sum_k (cost(z_k) - cost(m) - slope . (z_k - m)) d log q(z_k) + d (slope . m)

        m = probs, slope = d cost(m) / dm, held

    Unbiased: the mean of slope . z is slope . m. Exact, without noise, for costs that are linear in z. The decoder's
    gradient comes from the samples alone. Cost evaluations per estimate: k + 1, of which the one at the mean is
    differentiated to z. The paper's further baselines, learned and running, are not here.

    Do not use it where the cost means nothing between the states: at the mean of many uncertain coordinates the
    expansion says little about the samples.

    Args:
        k: samples per estimate, 1 or more.
    """

    latents = (Bernoulli, Categorical)
    unbiased = True
    evaluations = "k + 1 / 1"
    paper = "Gu et al. 2016"

    def __init__(self, k: int = 1):
        super().__init__()
        if k < 1:
            raise ValueError(f"Muprop averages over samples, so it needs k >= 1; got k={k}.")
        self.k = k

    def forward(self, q: Discrete, cost: Cost, x: Tensor) -> Estimate:
        mean, units = q.probs.detach(), tuple(range(-q.event_ndim, 0))
        at_mean, pull_cost = torch.func.vjp(cost, mean.unsqueeze(0))  # type: ignore[misc]  # [1, ..., B]
        with torch.no_grad():
            (slope,) = pull_cost(torch.ones_like(at_mean))  # [1, ..., B, *]
        z = q.sample(self.k)  # [K, ..., B, *]
        c = cost(z)  # [K, ..., B]
        residual = (c - at_mean).detach() - (slope * (z - mean)).sum(units)  # [K, ..., B]
        score = residual[(..., *[None] * q.event_ndim)] * q.score(z)  # [K, ..., B, *]
        gradient = score.mean(0) + q.jacobian(slope.squeeze(0))
        return Estimate(loss=as_loss(q, gradient) + c.mean(0), cost=c.mean(0))  # c differentiates the decoder


class SimpleMuprop(Estimator[Discrete]):
    """Score each sample by how much it costs beyond the mean.

        1/K sum_k (cost(z_k) - cost(m)) d log q(z_k),   m = probs

    Unbiased: cost(m) does not depend on the samples. MuProp without the linear term, so that no cost is differentiated
    to z; the decoder's gradient comes from the samples alone. Cost evaluations per estimate: k + 1.

    Do not use it where the cost at the mean is far from the mean cost.

    Args:
        k: samples per estimate, 1 or more.
    """

    latents = (Bernoulli, Categorical)
    unbiased = True
    evaluations = "k + 1 / 0"
    paper = "Gu et al. 2016; Tucker et al. 2017"

    def __init__(self, k: int = 1):
        super().__init__()
        if k < 1:
            raise ValueError(f"SimpleMuprop averages over samples, so it needs k >= 1; got k={k}.")
        self.k = k

    def forward(self, q: Discrete, cost: Cost, x: Tensor) -> Estimate:
        z = q.sample(self.k)  # [K, ..., B, *]
        c, baseline = cost(z), cost(q.probs.detach().unsqueeze(0))  # [K, ..., B], [1, ..., B]
        score = (c - baseline).detach() * q.log_prob(z)  # differentiates q
        return Estimate(loss=(score + c).mean(0), cost=c.mean(0))  # c differentiates the decoder
