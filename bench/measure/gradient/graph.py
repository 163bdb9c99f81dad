"""What autograd will do with a loss, read off its graph."""

from collections.abc import Iterable

from torch import Tensor

from bench.measure.gradient.layers import Call


def reached(loss: Tensor, calls: list[Call], parameters: Iterable[Tensor]) -> bool:
    """Whether the loss depends on any of the parameters otherwise than through the outputs of the calls."""
    wanted = {id(p) for p in parameters}
    seen = {call.output.grad_fn for call in calls}
    ahead = [loss.grad_fn]
    while ahead:
        node = ahead.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        if id(getattr(node, "variable", None)) in wanted:
            return True
        ahead += [following for following, _ in node.next_functions]
    return False
