"""Squared norms and sums of per-draw gradients of linear layers, without computing each gradient.

A linear layer with inputs A [n, in] and cotangents D [n, out] of its outputs has the weight gradient A'D and the bias
gradient 1'D. Their squared norm is the sum of (A A' + 1) o (D D'), an n x n computation, and a sum of gradients over
draws is one matrix product. Both are exact. Goodfellow, Efficient Per-Example Gradient Computations, 2015,
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
    output: Tensor  # [..., n, out]; an in-place activation may have overwritten it
    made: GradientEdge  # the edge of the graph at which the output's cotangent arrives
    before: Any  # the node of the graph that made the inputs, or None
    lead: tuple[int, ...]  # the axes of the rows outside the network, which may merge them into one
    convolution: nn.Module | None = None


@contextmanager
def recorded(module: nn.Module, convolutions: bool = False) -> Iterator[list[Call]]:
    """Record every use of a linear layer with trainable weights inside `module`, as a list of `Call`s; with
    `convolutions`, those of convolutions too."""
    calls: list[Call] = []
    handles = []
    leads: list[tuple[int, ...]] = [()]  # the leading axes of the networks that run now, before they merge them

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
                if output.requires_grad:  # it does not where an estimator evaluates the cost without gradient
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
    """Whether a linear layer or a convolution computes the standard product with its own trainable weight and bias.

    It does not with another `forward`, a reparametrised weight, a hook, or a padding other than zeros.
    """
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
    """The axes `own` of a layer's rows; if the first ones have as many elements as `lead`, `lead` replaces them."""
    for number in range(1, len(own) + 1) if lead else ():
        if math.prod(own[:number]) == math.prod(lead):
            return lead + own[number:]
    return own


def by_draw(rows: Tensor, lead: tuple[int, ...], draws: int, width: int = 1) -> Tensor:
    """Rows `[*lead, *]`, or with `lead` merged into one axis, by draw: `[r, n, *]`. `lead` is `(K, r, B, ...)`; * are
    `width` axes."""
    values = rows.shape[rows.ndim - width :]
    rows = rows.reshape(*lead, *values)
    return (rows[None] if draws == 1 else rows.movedim(1, 0)).reshape(draws, -1, *values)


def gram_pays(inputs: Tensor, cotangents: Tensor) -> bool:
    """Whether the n x n computation needs fewer operations than the explicit gradients."""
    n, width_in, width_out = cotangents.shape[-2], inputs.shape[-1], cotangents.shape[-1]
    shared = inputs.ndim == 2
    return n * (width_out + (0 if shared else width_in)) < width_in * width_out


def squared_norms(inputs: Tensor, cotangents: Tensor, bias: bool) -> Tensor:
    """The squared norm of each draw's gradient, `[r]`, computed in the cheaper of two exact ways.

    Args:
        inputs: `[n, in]`, shared by the draws, or `[r, n, in]`.
        cotangents: `[r, n, out]`.
        bias: whether the layer has a bias.
    """
    if not gram_pays(inputs, cotangents):
        return squared_length(gradients(inputs, cotangents, bias))
    return norms_by_gram(inputs @ inputs.mT + float(bias), cotangents)


def norms_by_gram(gram: Tensor, cotangents: Tensor) -> Tensor:
    """As `squared_norms`, from A A' + 1, `[n, n]` or `[r, n, n]`."""
    return ((cotangents @ cotangents.mT) * gram).sum((-2, -1), dtype=torch.float64)


def gradients(inputs: Tensor, cotangents: Tensor, bias: bool) -> Tensor:
    """The explicit gradients, flattened `[g, (in + bias) out]`, from `inputs [n, in]` or `[g, n, in]`."""
    return form(with_ones(inputs) if bias else inputs, cotangents)


def with_ones(inputs: Tensor) -> Tensor:
    """The inputs with a column of ones, which stands for the bias."""
    return torch.cat([inputs, torch.ones_like(inputs[..., :1])], -1)


def form(inputs: Tensor, cotangents: Tensor) -> Tensor:
    """The explicit gradients `[g, in out]` from `inputs [n, in]` or `[g, n, in]`, which include a bias's ones."""
    return (inputs.mT @ cotangents).flatten(1)


def squared_length(vectors: Tensor) -> Tensor:
    """Squared norms `[r]` of `vectors [r, P]`, summed in float64."""
    return torch.linalg.vector_norm(vectors, dim=1, dtype=torch.float64).square()
