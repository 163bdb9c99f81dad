"""Mean and variance of an estimate: exact where the noise is enumerated or integrated, else from many draws."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from bench.check.deviations import visible
from bench.check.noise import draws_of, points
from bench.check.problem import Cost, SmallProblem
from bench.check.quasi import GROUPS, Quasi, dimensions, of_groups
from bench.check.subject import Case
from bench.check.subject import gradients as gradients_of
from estimators import Enumerable, Estimator, Latent

OUTCOMES = 2**18  # at most this many outcomes, times the draws of each, are enumerated
INTEGRATED = 1e-3  # largest error of an integral that counts as exact, relative to the norm of the gradient
CHUNK = 2**14  # draws at a time
TOGETHER = 2**12  # outcomes at a time: their tensors stay in the processor's cache
FEWEST = 2**5  # replicas at a time; more than the length of any other axis
LARGEST = 2**21  # elements of a tensor of replicas, as far as `FEWEST` allows; above, page faults take most of the time
START = 2**14  # draws of the first sample
KEPT = 1000  # draws that `Moments.first` keeps
SEEDS = 10**6  # more than the seeds of a sample's groups


class Moments(NamedTuple):
    """Mean and error of one example's gradient and cost; P counts q's parameters and the decoder's."""

    mean: Tensor  # [P]
    error: Tensor  # [P] standard error of the mean; 0 where exact; the difference from 3/4 of the nodes if integrated
    cost: Tensor  # [] mean of Estimate.cost
    cost_error: Tensor  # []
    first: Tensor  # [R, P] the first draws
    groups: Tensor  # [G, P] mean gradients of independent groups of draws
    costs: Tensor  # [G] and their mean costs
    how: str
    draws: int = 0  # 0 where the moments are exact or integrated


def moments(case: Case, kind: str, constant: float = 0.0, draws: int | None = None, seed: int = 0) -> Moments:
    """The moments of the estimate for the first example; cached in the case.

    They are exact where that is possible and `seed` is 0. Elsewhere they come from `draws` draws, whose noise depends
    on `draws` and `seed` alone.

    Args:
        case: the estimator, its latent family and setting.
        kind: of the cost: `analytic`, `sampled` or `polynomial`.
        constant: added to the cost, in nats.
        draws: by default as many as show a relative bias of `case.sharp`, at most `case.draws`.
        seed: of the noise; other than 0, the moments are sampled even where they could be exact.
    """
    key = ("moments", kind, constant, draws, seed)
    if key not in case.cache:
        found = None if seed else exact(case, kind, constant)
        case.cache[key] = found or _drawn(case, kind, constant, draws, seed)
    return case.cache[key]


def exact(case: Case, kind: str, constant: float = 0.0) -> Moments | None:
    """The moments by enumeration or integration, or None where that is impossible; cached in the case."""
    key = ("exact", kind, constant)
    if key not in case.cache:
        case.cache[key] = enumerated(case.trained(), case.problem.first(), kind, constant)
    return case.cache[key]


def _drawn(case: Case, kind: str, constant: float, draws: int | None, seed: int) -> Moments:
    """The moments of `draws` draws, or of as few as are sharp enough: a sample is doubled while its error is too large.

    Only the size of the error ends it, of which a normal mean is independent. The error it ends with is a little too
    small, so that |z| > 5 is at most twice as frequent (4e-5 for 2e-5). The second test of `means.off` has a fixed
    number of draws.
    """
    made, one = case.trained(), case.problem.first()
    if draws is not None:
        return _sampled(made, one, kind, constant, draws, seed)
    most = case.draws if case.unbiased else case.draws // 8
    found = moments(case, kind, constant, min(START, most), seed)
    sharp = case.sharp * (1 if kind == case.kinds[0] else 2)
    while 2 * found.draws <= most and visible(case, found.error, found.mean) > sharp:
        found = _sampled(made, one, kind, constant, 2 * found.draws, seed, found)
    return found


def enumerated(made: Estimator, one: SmallProblem, kind: str, constant: float = 0.0) -> Moments | None:
    """Exact moments, or None where they cannot be computed.

    They cannot where the noise comes from anything but `q.sample` (`q.normal` of a Gaussian), where it has too many
    outcomes, or where the error of the integral exceeds `INTEGRATED`.
    """

    def call(q: Latent) -> object:
        return made(q, Cost(one._replace(q=q), kind, constant), one.x)

    taken = draws_of(call, one.q)
    if taken is None:
        return None

    def drawn(outcomes: Latent) -> tuple[Tensor, Tensor]:
        return _draw(made, one._replace(q=outcomes), kind, constant)

    draws, together = taken[0], min(TOGETHER, _fitting(taken[1]))
    if isinstance(one.q, Enumerable):
        most = OUTCOMES / max(1, draws)
        return _weighted(drawn, one.q, draws, 0, together) if one.q.states**draws <= most else None
    slots = draws * (one.q.params.shape[-1] // 2)
    nodes = min(64, int((OUTCOMES / 2 + 0.5) ** (1 / max(slots, 1))))
    if nodes < 6:
        return None
    fine, coarse = (_weighted(drawn, one.q, draws, n, together) for n in (nodes, 3 * nodes // 4))
    apart = fine.mean - coarse.mean
    if torch.allclose(fine.mean, coarse.mean, rtol=1e-9, atol=1e-9):
        return fine
    if apart.norm() > INTEGRATED * fine.mean.norm():
        return None
    return fine._replace(error=apart.abs(), cost_error=(fine.cost - coarse.cost).abs())


def _fitting(elements: int) -> int:
    """How many replicas to compute at a time, a power of 2, where a tensor has this many elements of each."""
    return max(FEWEST, 1 << (LARGEST // max(1, elements)).bit_length() >> 1)


def _weighted(
    drawn: Callable[[Latent], tuple[Tensor, Tensor]], q: Latent, draws: int, nodes: int, together: int
) -> Moments:
    """The moments over all outcomes, or over `nodes` nodes for each normal number, so many of them at a time."""
    count = q.states**draws if isinstance(q, Enumerable) else nodes ** (draws * (q.params.shape[-1] // 2))
    means, costs, first = [], [], None
    for start in range(0, count, together):
        outcomes = points(q, draws, nodes, start, start + together)
        gradient, cost = drawn(outcomes.q)
        means.append(outcomes.weights @ gradient)
        costs.append(outcomes.weights @ cost)
        first = gradient[:KEPT] if first is None else torch.cat([first, gradient[: KEPT - len(first)]])
    mean, total = torch.stack(means).sum(0), torch.stack(costs).sum()
    how = f"{count} {'outcomes' if isinstance(q, Enumerable) else 'nodes'}"
    assert first is not None
    return Moments(mean, torch.zeros_like(mean), total, torch.zeros_like(total), first, first[:0], cost[:0], how)


def _sampled(
    made: Estimator, one: SmallProblem, kind: str, constant: float, draws: int, seed: int, so_far: Moments | None = None
) -> Moments:
    """The moments of a sample.

    Args:
        made: the estimator.
        one: the problem of a single example.
        kind: of the cost.
        constant: added to the cost, in nats.
        draws: in all.
        seed: of the noise.
        so_far: of the first of these draws, with the same seed; they are not drawn again.
    """

    def replicas(count: int) -> SmallProblem:
        return one._replace(q=one.q.with_params(one.q.params.expand(count, *one.q.params.shape).clone()))

    each, elements = dimensions(lambda count: _draw(made, replicas(count), kind, constant))
    size, before = max(1, draws // GROUPS), so_far.draws // GROUPS if so_far else 0  # draws of a group
    more = size - before
    together = max(1, min(GROUPS, CHUNK // (more * max(1, each // 8))))  # groups at a time
    while GROUPS % together:
        together -= 1
    number, fitting = together * more, _fitting(elements)
    first, gradients, costs = so_far.first if so_far else None, [], []
    for group in range(0, GROUPS, together):
        torch.manual_seed(100 + group + 1000 * seed + SEEDS * before)
        drawn = []
        for start in range(0, number, fitting):
            stop = min(start + fitting, number)
            with Quasi(together, more, each, 100 + group + 1000 * seed, slice(start, stop), before):
                drawn.append(_draw(made, replicas(stop - start), kind, constant))
        gradient, cost = (torch.cat(parts) for parts in zip(*drawn, strict=True))
        first = gradient[:KEPT] if first is None else first
        gradients.append(of_groups(gradient, together))
        costs.append(of_groups(cost, together))
    groups, cost = torch.cat(gradients), torch.cat(costs)
    if so_far:
        parts = (so_far.groups, groups), (so_far.costs, cost)
        groups, cost = ((before * old + more * new) / size for old, new in parts)
    root, how = GROUPS**0.5, f"{GROUPS * size} draws"
    assert first is not None
    return Moments(
        groups.mean(0), groups.std(0) / root, cost.mean(), cost.std() / root, first, groups, cost, how, GROUPS * size
    )


def _draw(made: Estimator, replicas: SmallProblem, kind: str, constant: float) -> tuple[Tensor, Tensor]:
    """One estimate for each replica of one example: gradients `[R, P]` and costs `[R]`."""
    params = replicas.q.params.detach().requires_grad_()  # [R, 1, *]
    theta = replicas.theta.expand(*params.shape[:2], -1).clone().requires_grad_()
    live = replicas._replace(q=replicas.q.with_params(params), theta=theta)
    estimate = made(live.q, Cost(live, kind, constant), live.x)
    grads = gradients_of(estimate.loss, live)
    return torch.cat([g.flatten(1) for g in grads], 1), estimate.cost.detach().expand(len(params), 1).flatten()
