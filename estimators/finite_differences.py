"""Central differences along a random direction of q's parameters, with common random numbers.

* J. C. Spall, Multivariate Stochastic Approximation Using a Simultaneous Perturbation Gradient Approximation, IEEE
  Transactions on Automatic Control 37, 1992 (directions of random signs: SPSA).
* T. Salimans, J. Ho, X. Chen, S. Sidor, I. Sutskever, Evolution Strategies as a Scalable Alternative to Reinforcement
  Learning, 2017, arXiv:1703.03864 (normal directions, in pairs of opposite ones).
"""

import math

import torch
from torch import Tensor

from estimators.base import Cost, Estimate, Estimator, as_loss
from estimators.latents import VQ, Bernoulli, Categorical, Discrete, Gaussian, Latent


class SPSA(Estimator):
    """The change of the cost along random signs of all parameters at once, divided by the step.

        1/K sum_k (cost(z_k+) - cost(z_k-)) / (2 step) sign_k,   z+- = the sample of q.natural +- step sign, same noise

    with a direction of its own for every sample and example. Biased, O(step^2): the mean is that of central differences
    of E cost over directions, and unbiased if E cost is quadratic in q.natural. Discrete samples seldom change under a
    small step, by 1 / step when they do: there, the variance grows like 1 / step. The decoder's gradient and `cost` are
    means over the two samples, hence of E cost at a distance of one step, biased alike. Cost evaluations per estimate:
    2k.

    When not to use it: with many parameters, whose directions are the larger part of the noise.

    Args:
        k: directions per estimate, 1 or more.
        step: length of the step in each parameter, above 0.
    """

    latents = (Gaussian, Bernoulli, Categorical, VQ)
    unbiased = False
    noiseless_cost = True
    evaluations = "2 * k / 0"
    paper = "Spall 1992"

    def __init__(self, k: int = 1, step: float = 0.1):
        super().__init__()
        if k < 1 or step <= 0:
            raise ValueError(f"SPSA needs k >= 1 directions and a step above 0; got k={k}, step={step}.")
        self.k, self.step = k, step

    def forward(self, q: Latent, cost: Cost, x: Tensor) -> Estimate:
        direction = normals(q, self.k).sign()  # [K, ..., B, *]; 1 / sign = sign
        return central_difference(q, cost, direction, self.step)


class Evolution(Estimator):
    """The change of the cost along a normal direction of all parameters at once, divided by the step.

        1/K sum_k (cost(z_k+) - cost(z_k-)) / (2 step) direction_k,   z+- = the sample of q.natural +- step direction

    with the same noise for z+ and z-, and a direction of its own for every sample and example. Biased, O(step^2): the
    mean is the exact gradient of E cost averaged over normal perturbations of q.natural. Otherwise as SPSA; the paper
    does not share the noise between the two. Cost evaluations per estimate: 2k.

    When not to use it: with many parameters, whose directions are the larger part of the noise.

    Args:
        k: directions per estimate, 1 or more.
        step: standard deviation of the perturbation of each parameter, above 0.
    """

    latents = (Gaussian, Bernoulli, Categorical, VQ)
    unbiased = False
    noiseless_cost = True
    evaluations = "2 * k / 0"
    paper = "Salimans et al. 2017"

    def __init__(self, k: int = 1, step: float = 0.1):
        super().__init__()
        if k < 1 or step <= 0:
            raise ValueError(f"Evolution needs k >= 1 directions and a step above 0; got k={k}, step={step}.")
        self.k, self.step = k, step

    def forward(self, q: Latent, cost: Cost, x: Tensor) -> Estimate:
        return central_difference(q, cost, normals(q, self.k), self.step)


def central_difference(q: Latent, cost: Cost, direction: Tensor, step: float) -> Estimate:
    """The estimate for directions `[K, ..., B, *]` of q.natural."""
    shift = step * direction
    if isinstance(q, Discrete):
        perturbed = q.perturbed(len(shift)).detach()  # logits plus noise [K, ..., B, *]
        points = [q.harden(perturbed + shift), q.harden(perturbed - shift)]
    else:
        assert isinstance(q, Gaussian)
        noise, params = q.normal(len(shift)), q.params.detach()
        moved = [q.with_params(params + shift), q.with_params(params - shift)]
        points = [posterior.mean + posterior.std * noise for posterior in moved]
    c = cost(torch.cat(points)).unflatten(0, (2, -1))  # [2, K, ..., B]
    slope = (c[0] - c[1]).detach() / (2 * step)
    gradient = (slope[(..., *[None] * q.event_ndim)] * direction).mean(0)
    value = c.mean((0, 1))
    return Estimate(loss=as_loss(q, gradient) + value, cost=value)  # value differentiates the decoder


def normals(q: Latent, k: int) -> Tensor:
    """Standard normal directions `[K, ..., B, *]` in the space of q.natural, from q's own noise."""
    if isinstance(q, Gaussian):
        return torch.cat(q.normal(2 * k).unflatten(0, (2, k)).unbind(), -1)
    if isinstance(q, Bernoulli):
        return torch.special.ndtri(q.uniform(k))
    exponential = torch.exp(-q.gumbel(k))  # type: ignore[attr-defined]
    upper = -torch.special.ndtri(-torch.expm1(-exponential))  # each half by the smaller tail, which keeps its digits
    return torch.where(exponential < math.log(2), upper, torch.special.ndtri(torch.exp(-exponential)))
