"""Per-draw gradients of linear layers without forming them.

A linear layer that saw inputs A [n, in] and receives cotangents D [n, out] has the weight gradient A'D and the bias
gradient 1'D. The squared norm of both is the sum of (A A' + 1) o (D D'), an n x n computation, and a sum of gradients
over draws is one matrix product. Both are exact. Goodfellow, Efficient Per-Example Gradient Computations, 2015,
arXiv:1510.01799, gives the same identity for n = 1.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.autograd.graph import GradientEdge, get_gradient_edge

from bench.model.adapted import Adapted
from bench.model.chain import outermost
from bench.model.networks import Trunk

CONVOLUTIONS = (nn.Conv2d, nn.ConvTranspose2d)


class Call(NamedTuple):
    """One use of a linear layer, or of a convolution, in a forward pass."""

    layer: str  # the path of the module in the model
    bias: bool
    inputs: Tensor  # [..., n, in], or [rows, channels, height, width]
    output: Tensor  # [..., n, out], which an activation in place may have written on
    made: GradientEdge  # where its cotangent arrives
    before: Any  # the node of the graph that the inputs came out of, or None
    lead: tuple[int, ...]  # the axes that its rows have in the network, also where they are one axis inside
    convolution: nn.Module | None = None


@contextmanager
def recorded(module: nn.Module, convolutions: bool = False) -> Iterator[list[Call]]:
    """Record every use of a linear layer with trainable weights inside `module`, as a list of `Call`s; with
    `convolutions`, those of convolutions too."""
    calls: list[Call] = []
    handles = []
    leads: list[tuple[int, ...]] = [()]  # of the network that runs, where it makes one axis of them

    def enter(network: nn.Module, args: tuple[Tensor, ...]) -> None:
        own = network.lead(*args) if isinstance(network, Adapted) else tuple(args[0].shape[:-1])
        leads.append(_unfolded(own, leads[-1]))

    def leave(network: nn.Module, args: tuple[Tensor, ...], output: Tensor) -> None:
        leads.pop()

    for path, layer in module.named_modules():
        if (isinstance(layer, Trunk) and convolutions) or isinstance(layer, Adapted):
            handles += [layer.register_forward_pre_hook(enter), layer.register_forward_hook(leave, always_call=True)]
        convolves = convolutions and isinstance(layer, CONVOLUTIONS)
        if (convolves or isinstance(layer, nn.Linear)) and as_written(layer):

            def note(
                layer: nn.Module,
                args: tuple[Tensor, ...],
                output: Tensor,
                path: str = path,
                convolution: nn.Module | None = layer if convolves else None,
            ) -> None:
                output = outermost(output)
                if output.requires_grad:  # not where an estimator asks for a cost without gradient
                    inputs, outer = outermost(args[0]), tuple(output.shape[: -3 if convolution else -1])
                    before = get_gradient_edge(inputs).node if inputs.requires_grad else None
                    made, lead = get_gradient_edge(output), _unfolded(outer, leads[-1])
                    calls.append(Call(path, layer.bias is not None, inputs, output, made, before, lead, convolution))

            handles.append(layer.register_forward_hook(note))
    try:
        yield calls
    finally:
        for handle in handles:
            handle.remove()
        calls[:] = [call._replace(inputs=call.inputs.detach()) for call in calls]


def as_written(layer: nn.Module) -> bool:
    """Whether a linear layer or a convolution is the product of its input with its own weight, both that and its bias
    learn, and nothing comes between: no subclass, no weight made of others, no hook, no padding by other than zeros."""
    kinds, held = (nn.Linear, *CONVOLUTIONS), layer._parameters
    weight, bias = held.get("weight"), held.get("bias")
    return (
        any(type(layer).forward is kind.forward for kind in kinds)
        and {*held} <= {"weight", "bias"}
        and weight is not None
        and weight.requires_grad
        and (bias is None or bias.requires_grad)
        and not layer._forward_hooks
        and not layer._forward_pre_hooks
        and getattr(layer, "padding_mode", "zeros") == "zeros"
        and not isinstance(getattr(layer, "padding", 0), str)
    )


def _unfolded(own: tuple[int, ...], lead: tuple[int, ...]) -> tuple[int, ...]:
    """The axes of a layer's rows, of which the first are `lead` made one or several others; or as they are."""
    for number in range(1, len(own) + 1) if lead else ():
        if math.prod(own[:number]) == math.prod(lead):
            return lead + own[number:]
    return own


def by_draw(rows: Tensor, lead: tuple[int, ...], draws: int, width: int = 1) -> Tensor:
    """Rows `[K, r, B, *]`, or those axes as one, by draw: `[r, n, *]`, where * are `width` axes."""
    values = rows.shape[rows.ndim - width :]
    rows = rows.reshape(*lead, *values)
    return (rows[None] if draws == 1 else rows.movedim(1, 0)).reshape(draws, -1, *values)


def gram_pays(inputs: Tensor, cotangents: Tensor) -> bool:
    """Whether the n x n computation costs fewer operations than forming the gradients."""
    n, width_in, width_out = cotangents.shape[-2], inputs.shape[-1], cotangents.shape[-1]
    shared = inputs.ndim == 2
    return n * (width_out + (0 if shared else width_in)) < width_in * width_out


def squared_norms(inputs: Tensor, cotangents: Tensor, bias: bool) -> Tensor:
    """Squared norm of each draw's gradient `[r]`, from `inputs [n, in]` (shared by the draws) or `[r, n, in]`, and
    `cotangents [r, n, out]`; by whichever of the two exact ways costs fewer operations."""
    if not gram_pays(inputs, cotangents):
        return squared_length(gradients(inputs, cotangents, bias))
    return norms_by_gram(inputs @ inputs.mT + float(bias), cotangents)


def norms_by_gram(gram: Tensor, cotangents: Tensor) -> Tensor:
    """The same from A A' + 1, `[n, n]` or `[r, n, n]`."""
    return ((cotangents @ cotangents.mT) * gram).sum((-2, -1), dtype=torch.float64)


def gradients(inputs: Tensor, cotangents: Tensor, bias: bool) -> Tensor:
    """The gradients themselves, flattened `[g, (in + bias) out]`, from `inputs [n, in]` or `[g, n, in]`."""
    return form(with_ones(inputs) if bias else inputs, cotangents)


def with_ones(inputs: Tensor) -> Tensor:
    """The bias as one more input."""
    return torch.cat([inputs, torch.ones_like(inputs[..., :1])], -1)


def form(inputs: Tensor, cotangents: Tensor) -> Tensor:
    """`[g, in out]` from `inputs [n, in]` or `[g, n, in]`, where a bias is among the inputs."""
    return (inputs.mT @ cotangents).flatten(1)


def squared_length(vectors: Tensor) -> Tensor:
    """Squared norms `[r]` of `vectors [r, P]`, summed in float64."""
    return torch.linalg.vector_norm(vectors, dim=1, dtype=torch.float64).square()
