"""Autograd's graph of a draw, and searches of it."""

from collections.abc import Iterable, Sequence
from typing import Any

from torch import Tensor

from bench.measure.gradient.layers import Call
from bench.model.objective import Objective
from estimators import Latent


def loss_of(objective: Objective, q: Latent, x: Tensor, shifts: Sequence[Tensor]) -> Tensor:
    """The loss `[r, B]` of draws. The graph holds nothing for the estimator's own parameters, which have no part in the
    gradient that is measured; a network of theirs may need most of the memory."""
    of_model = {id(p) for p in objective.model.parameters()}
    own = [p for p in objective.estimator.parameters() if p.requires_grad and id(p) not in of_model]
    for parameter in own:
        parameter.requires_grad_(False)
    try:
        return objective.estimate(q, x, shifts).loss
    finally:
        for parameter in own:
            parameter.requires_grad_(True)


def reached(loss: Tensor, calls: list[Call], parameters: Iterable[Tensor]) -> bool:
    """Whether the loss, or the input of a call, depends on any of the parameters by a path that does not pass through
    the output of a call."""
    wanted = {id(p) for p in parameters}
    nodes = behind([loss.grad_fn, *(call.before for call in calls)], (call.made.node for call in calls))
    return any(id(getattr(node, "variable", None)) in wanted for node in nodes)


def behind(ahead: list[Any], ends: Iterable[Any] = ()) -> set[Any]:
    """The nodes `ahead` and all nodes that they depend on. The search does not go beyond the nodes `ends`."""
    seen: set[Any] = set()
    ahead, stop = [*ahead], {*ends}
    while ahead:
        node = ahead.pop()
        if node is None or node in seen or node in stop:
            continue
        seen.add(node)
        ahead += [following for following, _ in node.next_functions]
    return seen
