"""Small problems with known answers, one of each latent family, in float64."""

import math
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from bench.check.quasi import GROUPS, Quasi, of_groups
from estimators import VQ, Bernoulli, Categorical, Enumerable, Gaussian, Latent, Sequence

DATA = 2  # X
MOST_SLOTS = 4  # normal numbers that a truth is integrated over; more of them are drawn
TRUTH_DRAWS = 4096  # per group


class Setting(NamedTuple):
    """What a problem is like; by default two coordinates (three bits) for each of two examples."""

    examples: int = 2  # B
    size: int | None = None  # D
    categories: int = 3  # C
    wide: bool = False  # logits beyond 3, log standard deviations beyond 2, on both sides
    binary: bool = False  # x is 0 or 1
    factor: float = 1.0  # of the cost
    shift: float = 0.0  # of the cost, in nats


BASE = Setting()


class SmallProblem(NamedTuple):
    """`q` of B examples, the data, and the cost's own parameters, which stand for the decoder's."""

    q: Latent
    x: Tensor  # [B, X]
    theta: Tensor  # [P]
    unit: Tensor | None = None  # [D] the scale on which the cost reads a Gaussian z
    factor: float = 1.0
    shift: float = 0.0

    def first(self, index: int = 0) -> "SmallProblem":
        """The example of this index alone."""
        part = slice(index, index + 1)
        return self._replace(q=self.q.with_params(self.q.params[part]), x=self.x[part])

    def to(self, dtype: torch.dtype, device: str = "cpu") -> "SmallProblem":
        q = self.q.with_params(self.q.params.to(device, dtype))
        if isinstance(q, VQ):
            q = VQ(q.params, q.codebook.to(device, dtype), q.temperature)
        unit = None if self.unit is None else self.unit.to(device, dtype)
        return self._replace(q=q, x=self.x.to(device, dtype), theta=self.theta.to(device, dtype), unit=unit)


class Cost:
    """A nonlinear cost in which all coordinates interact, of points `z [K, ..., B, *]`, given x and `theta [..., P]`.

    With kind `sampled` it also holds log q(z) - log p(z), as with `objective.kl=sampled`; `polynomial` has degree 2 in
    each coordinate.

    Attributes:
        evaluated: per call, the points per example.
    """

    def __init__(self, problem: SmallProblem, kind: str = "analytic", constant: float = 0.0):
        self.q, self.x, self.theta, self.unit, self.factor, shift = problem
        self.frozen, self.kind, self.constant = self.q.detach(), kind, constant + shift
        self.evaluated: list[int] = []

    def __call__(self, z: Tensor, q: Latent | None = None) -> Tensor:
        self.evaluated.append(z.shape[0])
        y = self._read(z)  # [K, ..., B, F]
        weights, last = self.theta[..., :-1], self.theta[..., -1]
        squared = ((weights * y).sum(-1) + self.x[:, 0] - 0.4) ** 2
        second = y[..., 1 % y.shape[-1]]
        pair = y[..., 0] * second
        if self.kind == "polynomial":
            return self.factor * (squared + last * pair**2 + self.x[:, 1] * pair) + self.constant
        nats = squared + pair * y[..., -1] / 2 + (last * y[..., 0] - 0.2 * second * self.x[:, 1]).exp()
        nats = self.factor * nats
        if self.kind == "sampled":
            posterior = self.frozen if q is None else q
            nats = nats + posterior.log_prob(z) - self.q.standard().log_prob(z if self.unit is None else z / self.unit)
        return nats + self.constant

    def _read(self, z: Tensor) -> Tensor:
        if isinstance(self.q, VQ):
            codes = self.q.codebook.detach()
            return (z @ codes if z.shape[-1] == len(codes) else z[..., len(codes) :]).flatten(-2)
        if isinstance(self.q, Categorical):
            return (z @ _values(z.shape[-1]).to(z)).flatten(-2)
        if isinstance(self.q, Sequence):
            return _values(self.q.vocabulary).to(self.q.params)[z].flatten(-2)
        return z if self.unit is None else z / self.unit


def _values(categories: int) -> Tensor:
    """What the categories stand for `[C, 2]`."""
    if categories == 3:
        return torch.tensor([[0.3, -0.8], [1.1, 0.2], [-0.6, 0.9]], dtype=torch.float64)
    index = torch.arange(categories, dtype=torch.float64)
    return torch.stack([(2.1 * index + 0.4).cos(), (1.3 * index + 0.7).sin()], -1)


def problem(family: str, setting: Setting = BASE) -> SmallProblem:
    """The problem of a latent family and a setting; the same numbers every time."""
    generator = torch.Generator().manual_seed(5)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    examples, categories = setting.examples, setting.categories
    size = setting.size or (3 if family == "bernoulli" else 2)
    x, codes = normal(examples, DATA), normal(categories, 2)
    latents = {
        "gaussian": lambda: Gaussian(0.4 * normal(examples, 2 * size)),
        "bernoulli": lambda: Bernoulli(normal(examples, size)),
        "categorical": lambda: Categorical(normal(examples, size, categories)),
        "vq": lambda: VQ(normal(examples, size, 2), codes, temperature=1.5),
        "sequence": lambda: Sequence(normal(examples, sum(categories**t for t in range(size)), categories)),
    }
    q, unit = latents[family](), None
    features = {"gaussian": size, "bernoulli": size}.get(family, 2 * size)
    theta = torch.cat([0.7 * normal(features), torch.tensor([0.3], dtype=torch.float64)])
    if setting.wide:
        q, unit = _widened(q)
    return SmallProblem(q, (x > 0).double() if setting.binary else x, theta, unit, setting.factor, setting.shift)


def _widened(q: Latent) -> tuple[Latent, Tensor | None]:
    """q with logits of 3.2 and more on both sides of 0, or log standard deviations of 2.1 and more, and their unit."""
    if isinstance(q, Gaussian):
        side = 1 - 2 * (torch.arange(q.mean.shape[-1]) % 2).double()
        log_std = side * (2.1 + q.log_std.abs())
        unit = (2.1 * side).exp()
        return Gaussian(torch.cat([q.mean * unit, log_std], -1)), unit
    if isinstance(q, VQ):
        return VQ(q.params, q.codebook, q.temperature / 4), None
    return q.with_params(q.params.sign() * (3.2 + 0.6 * q.params.abs())), None


class Truth(NamedTuple):
    """The gradient `[P]` with respect to q's parameters and the decoder's, its standard error, and the mean cost."""

    gradient: Tensor
    error: Tensor  # [P], 0 where exact; where integrated, what 3/4 of the nodes change
    value: Tensor  # []


def truth(problem: SmallProblem, kind: str, bound: int | None = None) -> Truth:
    """Of the expected cost of the first example, or of the bound of `bound` samples: -E log 1/K sum_k exp(-cost)."""
    one = problem.first()
    if isinstance(one.q, Enumerable):
        return _differentiated(one, kind, bound, 0)
    slots = (bound or 1) * (one.q.params.shape[-1] // 2)
    if slots > MOST_SLOTS:
        return quasi_truth(one, kind, bound)
    nodes = {1: 100, 2: 60, 3: 40}.get(slots, 16)
    fine, coarse = (_differentiated(one, kind, bound, n) for n in (nodes, 3 * nodes // 4))
    apart = (fine.gradient - coarse.gradient).abs()
    return fine._replace(error=torch.where(apart > 1e-9 * fine.gradient.norm(), apart, 0.0))


def _differentiated(one: SmallProblem, kind: str, bound: int | None, nodes: int) -> Truth:
    """By enumeration, or by Gauss-Hermite quadrature with `nodes` of each normal number."""
    params, theta = (t.detach().clone().requires_grad_() for t in (one.q.params, one.theta))
    q = one.q.with_params(params)
    cost = Cost(one._replace(q=q, theta=theta), kind)
    if isinstance(q, Enumerable):
        states = q.enumerate()  # [S, 1, *]
        log_q, costs = q.log_prob(states).squeeze(-1), cost(states, q).squeeze(-1)  # [S]
        if bound is None:
            value = (log_q.exp() * costs).sum()
        else:
            counts = _counts(len(states), bound)  # [M, S]
            ways = math.lgamma(bound + 1) - (counts + 1).lgamma().sum(-1)
            averages = (counts.log() - costs).logsumexp(-1) - math.log(bound)
            value = -((ways + counts @ log_q).exp() * averages).sum()
    else:
        samples, size = bound or 1, params.shape[-1] // 2
        node, weight = (torch.from_numpy(a) for a in np.polynomial.hermite_e.hermegauss(nodes))
        index = torch.cartesian_prod(*[torch.arange(nodes)] * samples * size).view(-1, samples * size)
        weights = (weight / weight.sum())[index].prod(-1)
        grid = node[index].view(-1, samples, 1, size).movedim(1, 0)
        costs = cost(q.mean + q.std * grid, q).squeeze(-1)  # type: ignore[attr-defined]  # [K, J]
        averages = costs[0] if bound is None else math.log(bound) - (-costs).logsumexp(0)
        value = weights @ averages
    gradient = torch.cat([g.flatten() for g in torch.autograd.grad(value, [params, theta])])
    return Truth(gradient, torch.zeros_like(gradient), value.detach())


def tuples(states: int, samples: int) -> int:
    """Ways to draw this many samples, their order aside."""
    return math.comb(states + samples - 1, samples)


def _counts(states: int, samples: int) -> Tensor:
    """How often each state occurs among the samples `[M, S]`, every possibility once."""
    chosen = torch.combinations(torch.arange(states), samples, with_replacement=True)  # [M, K]
    counts = torch.zeros(len(chosen), states, dtype=torch.float64)
    return counts.scatter_add_(1, chosen, torch.ones_like(chosen, dtype=torch.float64))


def quasi_truth(one: SmallProblem, kind: str, bound: int | None = None) -> Truth:
    """The pathwise gradient of a Gaussian's expected cost, or bound, from evenly spread draws."""
    size, samples, gradients, values = one.q.params.shape[-1] // 2, bound or 1, [], []
    for group in range(GROUPS):
        params = one.q.params.detach().expand(TRUTH_DRAWS, *one.q.params.shape).clone().requires_grad_()
        theta = one.theta.expand(*params.shape[:2], -1).clone().requires_grad_()
        q = one.q.with_params(params)
        cost = Cost(one._replace(q=q, theta=theta), kind)
        with Quasi(1, TRUTH_DRAWS, samples * size, 1000 + group):
            costs = cost(q.rsample(samples), q)  # type: ignore[attr-defined]
        value = costs[0] if bound is None else math.log(samples) - (-costs).logsumexp(0)
        grads = torch.autograd.grad(value.sum(), [params, theta])
        gradients.append(of_groups(torch.cat([g.flatten(1) for g in grads], 1), 1))
        values.append(value.detach().mean())
    gradient = torch.cat(gradients)
    return Truth(gradient.mean(0), gradient.std(0) / GROUPS**0.5, torch.stack(values).mean())
