"""Per-draw gradients of convolutions, computed from one batch that holds the rows of many draws."""

import torch
from torch import Tensor

from bench.measure.gradient.layers import CONVOLUTIONS, Call, by_draw

__all__ = ["CONVOLUTIONS", "convolved"]


def convolved(call: Call, cotangent: Tensor, draws: int) -> dict[str, Tensor]:
    """Gradients `[r, P]` of a convolution's parameters, by their names in the model.

    The draws become groups of channels of one convolution, so that few kernels are needed.
    """
    layer = call.convolution
    assert isinstance(layer, CONVOLUTIONS)
    sides, weight = len(layer.kernel_size), layer.weight.detach()
    shape = [weight.shape[1] * layer.groups if layer.transposed else weight.shape[0]]

    def one(inputs: Tensor, d: Tensor) -> list[Tensor]:
        _, weight_grad, bias_grad = torch.ops.aten.convolution_backward(
            d, inputs, weight, shape if call.bias else None, layer.stride, layer.padding, layer.dilation,
            layer.transposed, layer.output_padding, layer.groups, [False, True, call.bias],
        )  # fmt: skip
        return [weight_grad, bias_grad] if call.bias else [weight_grad]

    rows = by_draw(call.inputs, call.lead, draws, sides + 1), by_draw(cotangent, call.lead, draws, sides + 1)
    grads = torch.func.vmap(one)(*rows)
    return {f"{call.layer}.{kind}": g.flatten(1) for kind, g in zip(("weight", "bias"), grads, strict=False)}
