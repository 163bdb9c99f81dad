"""Small problems with known answers, one of each latent family, in float64."""

import math
from collections.abc import Iterator
from itertools import combinations_with_replacement
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from estimators import VQ, Bernoulli, Categorical, Discrete, Gaussian, Latent

EXAMPLES, DATA = 2, 2  # B, X
REFERENCE_DRAWS = 400_000


class Problem(NamedTuple):
    """`q` of B examples, the data, and the cost's own parameters, which stand for the decoder's."""

    q: Latent
    x: Tensor  # [B, X]
    theta: Tensor  # [P]

    def first(self) -> "Problem":
        """The first example alone."""
        return Problem(self.q.with_params(self.q.params[:1]), self.x[:1], self.theta)

    def to(self, dtype: torch.dtype, device: str = "cpu") -> "Problem":
        q = self.q.with_params(self.q.params.to(device, dtype))
        if isinstance(q, VQ):
            q = VQ(q.params, q.codebook.to(device, dtype), q.temperature)
        return Problem(q, self.x.to(device, dtype), self.theta.to(device, dtype))


class Cost:
    """A nonlinear cost in which all coordinates interact, of points `z [K, ..., B, *]`, given x and `theta [..., P]`.

    With kind `sampled` it also holds log q(z) - log p(z), as with `objective.kl=sampled`; `polynomial` has degree 2 in
    each coordinate.

    Attributes:
        evaluated: per call, the points per example.
    """

    def __init__(self, problem: Problem, kind: str = "analytic", constant: float = 0.0):
        self.q, self.x, self.theta = problem
        self.frozen, self.kind, self.constant = self.q.detach(), kind, constant
        self.evaluated: list[int] = []

    def __call__(self, z: Tensor, q: Latent | None = None) -> Tensor:
        self.evaluated.append(z.shape[0])
        y = self._read(z)  # [K, ..., B, F]
        weights, last = self.theta[..., :-1], self.theta[..., -1]
        squared = ((weights * y).sum(-1) + self.x[:, 0] - 0.4) ** 2
        pair = y[..., 0] * y[..., 1]
        if self.kind == "polynomial":
            return squared + last * pair**2 + self.x[:, 1] * pair + self.constant
        nats = squared + pair * y[..., -1] / 2 + (last * y[..., 0] - 0.2 * y[..., 1] * self.x[:, 1]).exp()
        if self.kind == "sampled":
            posterior = self.frozen if q is None else q
            nats = nats + posterior.log_prob(z) - self.q.standard().log_prob(z)
        return nats + self.constant

    def _read(self, z: Tensor) -> Tensor:
        if isinstance(self.q, VQ):
            codes = self.q.codebook.detach()
            return (z @ codes if z.shape[-1] == len(codes) else z[..., len(codes) :]).flatten(-2)
        if isinstance(self.q, Categorical):
            values = torch.tensor([[0.3, -0.8], [1.1, 0.2], [-0.6, 0.9]], dtype=z.dtype, device=z.device)
            return (z @ values).flatten(-2)
        return z


def problem(family: str) -> Problem:
    """Two coordinates (three bits) for each of two examples."""
    generator = torch.Generator().manual_seed(5)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    x = normal(EXAMPLES, DATA)
    codes = normal(3, 2)
    latents = {
        "gaussian": lambda: Gaussian(0.4 * normal(EXAMPLES, 4)),
        "bernoulli": lambda: Bernoulli(normal(EXAMPLES, 3)),
        "categorical": lambda: Categorical(normal(EXAMPLES, 2, 3)),
        "vq": lambda: VQ(normal(EXAMPLES, 2, 2), codes, temperature=1.5),
    }
    q = latents[family]()
    features = {"gaussian": 2, "bernoulli": 3}.get(family, 4)
    return Problem(q, x, torch.cat([0.7 * normal(features), torch.tensor([0.3], dtype=torch.float64)]))


class Truth(NamedTuple):
    """The gradient `[P]` with respect to q's parameters and the decoder's, its standard error, and the mean cost."""

    gradient: Tensor
    error: Tensor  # [P], 0 where exact
    value: Tensor  # []


def truth(problem: Problem, kind: str, bound: int | None = None) -> Truth:
    """Of the expected cost of the first example, or of the bound of `bound` samples: -E log 1/K sum_k exp(-cost)."""
    one = problem.first()
    params, theta = (t.detach().clone().requires_grad_() for t in (one.q.params, one.theta))
    q = one.q.with_params(params)
    cost = Cost(Problem(q, one.x, theta), kind)
    if bound is not None and not isinstance(q, Discrete) and bound > 2:
        return sampled_bound(one, bound)
    if isinstance(q, Discrete):
        states = q.enumerate()  # [S, 1, *]
        log_q, costs = q.log_prob(states).squeeze(-1), cost(states, q).squeeze(-1)  # [S]
        if bound is None:
            value = (log_q.exp() * costs).sum()
        else:
            counts = torch.stack(list(_counts(len(states), bound))).to(costs)  # [M, S]
            ways = math.lgamma(bound + 1) - (counts + 1).lgamma().sum(-1)
            averages = (counts.log() - costs).logsumexp(-1) - math.log(bound)
            value = -((ways + counts @ log_q).exp() * averages).sum()
    else:
        samples, nodes = bound or 1, 16 if bound == 2 else 60
        node, weight = (torch.from_numpy(a) for a in np.polynomial.hermite_e.hermegauss(nodes))
        slots = samples * (params.shape[-1] // 2)
        grid = torch.cartesian_prod(*[node] * slots).view(-1, samples, 1, params.shape[-1] // 2).movedim(1, 0)
        weights = torch.cartesian_prod(*[weight / weight.sum()] * slots).prod(-1)
        costs = cost(q.mean + q.std * grid, q).squeeze(-1)  # type: ignore[attr-defined]  # [K, J]
        averages = costs[0] if bound is None else math.log(bound) - (-costs).logsumexp(0)
        value = weights @ averages
    gradient = torch.cat([g.flatten() for g in torch.autograd.grad(value, [params, theta])])
    return Truth(gradient, torch.zeros_like(gradient), value.detach())


def _counts(states: int, samples: int) -> Iterator[Tensor]:
    """How often each state occurs among the samples `[S]`, every possibility once."""
    for chosen in combinations_with_replacement(range(states), samples):
        yield torch.bincount(torch.tensor(chosen), minlength=states)


def sampled_bound(one: Problem, samples: int) -> Truth:
    """The pathwise gradient of the bound, from many draws."""
    gradients, values = [], []
    for _ in range(8):
        params = one.q.params.detach().expand(REFERENCE_DRAWS // 8, *one.q.params.shape).clone().requires_grad_()
        theta = one.theta.expand(*params.shape[:2], -1).clone().requires_grad_()
        q = one.q.with_params(params)
        cost = Cost(Problem(q, one.x, theta), "sampled")
        bound = math.log(samples) - (-cost(q.rsample(samples), q)).logsumexp(0)  # type: ignore[attr-defined]
        grads = torch.autograd.grad(bound.sum(), [params, theta])
        gradients.append(torch.cat([g.flatten(1) for g in grads], 1))
        values.append(bound.detach().flatten())
    gradient = torch.cat(gradients)
    return Truth(gradient.mean(0), gradient.std(0) / len(gradient) ** 0.5, torch.cat(values).mean())
