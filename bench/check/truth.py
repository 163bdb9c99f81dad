"""The true gradient of a small problem: enumerated, integrated, or the mean of evenly spread draws."""

import math
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from bench.check.problem import Cost, SmallProblem
from bench.check.quasi import GROUPS, Quasi, of_groups
from estimators import Enumerable

MOST_SLOTS = 4  # the most normal numbers that are integrated over; with more, draws are taken
TRUTH_DRAWS = 4096  # per group


class Truth(NamedTuple):
    """The gradient `[P]` with respect to q's parameters and the decoder's, its standard error, and the mean cost."""

    gradient: Tensor
    error: Tensor  # [P], 0 where exact; the difference from 3/4 of the nodes where integrated
    value: Tensor  # []


def truth(problem: SmallProblem, kind: str, bound: int | None = None) -> Truth:
    """The true gradient of the first example's expected cost, or of its bound -E log 1/K sum_k exp(-cost).

    Args:
        problem: whose first example is taken.
        kind: of the cost: `analytic`, `sampled` or `polynomial`.
        bound: K, the number of samples of the bound; None for the expected cost.
    """
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
    """The gradient by enumeration, or by Gauss-Hermite quadrature with `nodes` nodes for each normal number."""
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
    """How many multisets of this many samples there are."""
    return math.comb(states + samples - 1, samples)


def _counts(states: int, samples: int) -> Tensor:
    """The counts `[M, S]` of each state in every multiset of samples."""
    chosen = torch.combinations(torch.arange(states), samples, with_replacement=True)  # [M, K]
    counts = torch.zeros(len(chosen), states, dtype=torch.float64)
    return counts.scatter_add_(1, chosen, torch.ones_like(chosen, dtype=torch.float64))


def quasi_truth(one: SmallProblem, kind: str, bound: int | None = None) -> Truth:
    """The gradient of a Gaussian's expected cost, or of its bound, as the mean of evenly spread pathwise draws."""
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
