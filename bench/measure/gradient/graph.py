"""Searches of autograd's graph."""

from collections.abc import Iterable
from typing import Any

from torch import Tensor

from bench.measure.gradient.layers import Call


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
