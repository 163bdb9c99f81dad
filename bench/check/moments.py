"""Mean and variance of an estimate: exact where the noise is enumerated or integrated, else from many draws."""

from typing import NamedTuple

import torch
from torch import Tensor

from bench.check.noise import draws_of, points
from bench.check.problem import Cost, Problem
from bench.check.subject import Case
from bench.check.subject import gradients as gradients_of
from estimators import Discrete, Estimator, Latent

OUTCOMES = 2**17  # the most that are enumerated
CHUNK = 20_000  # draws at a time
BOUND = 5.0  # standard errors


class Moments(NamedTuple):
    """Of one example's estimate; P counts q's parameters and the decoder's."""

    mean: Tensor  # [P]
    error: Tensor  # [P] standard error of the mean, 0 where exact
    cost: Tensor  # [] mean of Estimate.cost
    cost_error: Tensor  # []
    first: Tensor  # [R, P] the first draws
    how: str


class Deviation(NamedTuple):
    """A difference in standard errors, or in absolute numbers where both sides are exact."""

    found: bool
    number: str


def moments(case: Case, kind: str, constant: float = 0.0) -> Moments:
    """Of the estimate for the first example; computed once."""
    key = ("moments", kind, constant)
    if key not in case.cache:
        made = case.trained()
        one = case.problem.first()
        exact = enumerated(made, one, kind, constant)
        case.cache[key] = exact or _sampled(case, made, kind, constant)
    return case.cache[key]


def enumerated(made: Estimator, one: Problem, kind: str, constant: float = 0.0) -> Moments | None:
    """Exact moments, or None where the noise is not that of `q.sample` alone (of `q.normal` alone, if Gaussian, with
    a polynomial cost), or has too many outcomes."""

    def call(q: Latent) -> object:
        return made(q, Cost(one._replace(q=q), kind, constant), one.x)

    draws = draws_of(call, one.q)
    if draws is None:
        return None
    if isinstance(one.q, Discrete):
        return _weighted(made, one, kind, constant, draws, 0) if one.q.states**draws <= OUTCOMES else None
    if kind != "polynomial" and draws:
        return None
    slots = draws * (one.q.params.shape[-1] // 2)
    nodes = min(20, int((OUTCOMES + 0.5) ** (1 / max(slots, 1))))
    if nodes < 4:
        return None
    fine, coarse = (_weighted(made, one, kind, constant, draws, n) for n in (nodes, nodes - 1))
    return fine if torch.allclose(fine.mean, coarse.mean, rtol=1e-9, atol=1e-9) else None


def _weighted(made: Estimator, one: Problem, kind: str, constant: float, draws: int, nodes: int) -> Moments:
    outcomes = points(one.q, draws, nodes)
    gradient, cost = _draw(made, one._replace(q=outcomes.q), kind, constant)
    mean = outcomes.weights @ gradient
    how = f"{len(outcomes.weights)} {'outcomes' if isinstance(one.q, Discrete) else 'nodes'}"
    zero = torch.zeros((), dtype=mean.dtype)
    return Moments(mean, torch.zeros_like(mean), outcomes.weights @ cost, zero, gradient, how)


def _sampled(case: Case, made: Estimator, kind: str, constant: float) -> Moments:
    share = 1 if kind == case.kinds[0] and case.unbiased else 4
    chunks = 1 if constant else max(1, case.draws // CHUNK // share)
    gradients, costs = [], []
    for chunk in range(chunks):
        torch.manual_seed(100 + chunk)
        one = case.problem.first()
        q = one.q.with_params(one.q.params.expand(CHUNK, *one.q.params.shape).clone())
        gradient, cost = _draw(made, one._replace(q=q), kind, constant)
        gradients.append(gradient)
        costs.append(cost)
    every, cost = torch.cat(gradients), torch.cat(costs)
    root = len(every) ** 0.5
    how = f"{len(every)} draws"
    return Moments(every.mean(0), every.std(0) / root, cost.mean(), cost.std() / root, gradients[0], how)


def _draw(made: Estimator, replicas: Problem, kind: str, constant: float) -> tuple[Tensor, Tensor]:
    """One estimate for each replica of one example: gradients `[R, P]` and costs `[R]`."""
    params = replicas.q.params.detach().requires_grad_()  # [R, 1, *]
    theta = replicas.theta.expand(*params.shape[:2], -1).clone().requires_grad_()
    live = Problem(replicas.q.with_params(params), replicas.x, theta)
    estimate = made(live.q, Cost(live, kind, constant), live.x)
    grads = gradients_of(estimate.loss, live)
    return torch.cat([g.flatten(1) for g in grads], 1), estimate.cost.detach().expand(len(params), 1).flatten()


def deviation(difference: Tensor, error: Tensor, scale: Tensor) -> Deviation:
    """Whether a difference is beyond `BOUND` standard errors and beyond rounding, in any coordinate."""
    rounding = 1e-8 * (1 + scale.abs().max())
    found = bool(((difference.abs() > BOUND * error + rounding) | difference.isnan()).any())
    random = error > rounding
    if not random.any():
        return Deviation(found, f"error {difference.abs().max():.1e}")
    return Deviation(found, f"|z| {(difference.abs() / error.clamp(min=1e-30))[random].max():.1f}")
