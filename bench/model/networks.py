"""Encoder and decoder networks: fully connected or convolutional, the decoder mirroring the encoder."""

import math
from itertools import pairwise

import torch
from torch import Tensor, nn

from bench.settings import ModelGroup


class Trunk(nn.Module):
    """Image to `units` values, or `units` values to an image.

    With `arch: mlp`, `hidden` holds the widths from the image to the latent; `[]` is a linear map. With `arch: conv` it
    holds channels, and a linear layer joins the last to the units. Each convolution halves the image (kernel 4, stride
    2), or has its kernel and its stride in `kernels` and `strides`; the decoder goes through the same sizes backwards.
    """

    def __init__(self, model: ModelGroup, shape: tuple[int, int, int], units: int, to_image: bool):
        super().__init__()
        self.flat = model["arch"] != "conv"  # whether the net takes any axes in front
        build = _fully_connected if self.flat else _convolutional
        self.net = nn.Sequential(*build(model, shape, units, to_image))
        if model["init"] == "glorot":
            for layer in self.net:
                if isinstance(layer, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
                    nn.init.xavier_uniform_(layer.weight)
                    nn.init.zeros_(layer.bias)  # type: ignore[arg-type]

    def forward(self, values: Tensor) -> Tensor:
        """`[..., inputs]` -> `[..., outputs]`."""
        if self.flat:
            return self.net(values)
        return self.net(values.reshape(-1, values.shape[-1])).unflatten(0, values.shape[:-1])

    def shift_output(self, level: Tensor) -> None:
        """Start the output at `level [X]`, of a convolution at its mean in each channel, by the last layer's bias."""
        bias, dense = next((m.bias, isinstance(m, nn.Linear)) for m in reversed(self.net) if hasattr(m, "bias"))
        with torch.no_grad():
            channels = 1 if dense else len(bias)  # type: ignore[arg-type]
            bias.add_(level if dense else level.unflatten(0, (channels, -1)).mean(1))  # type: ignore[operator]


def _activation(model: ModelGroup) -> nn.Module:
    match model["activation"]:
        case "relu":
            return nn.ReLU()
        case "tanh":
            return nn.Tanh()
        case "leaky_relu":
            return nn.LeakyReLU(model["slope"])
    raise ValueError(f"There is no activation {model['activation']!r}; there are relu, tanh, leaky_relu.")


def _fully_connected(model: ModelGroup, shape: tuple[int, int, int], units: int, to_image: bool) -> list[nn.Module]:
    widths = [math.prod(shape), *model["hidden"], units]
    if to_image:
        widths.reverse()
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(widths):
        layers += [nn.Linear(inputs, outputs), _activation(model)]
    return layers[:-1]


def _convolutional(model: ModelGroup, shape: tuple[int, int, int], units: int, to_image: bool) -> list[nn.Module]:
    hidden, (channels, height, width) = model["hidden"], shape
    steps, sizes = _steps(model), [(height, width)]
    if steps is None:
        shrink, steps = 2 ** len(hidden), [(4, 2, 1)] * len(hidden)
        if not hidden or height % shrink or width % shrink:
            raise ValueError(
                f"A convolutional model halves the image once per entry of model.hidden={hidden}; "
                f"{height}x{width} images can be halved {_halvings(height, width)} times, and at least once is needed."
            )
    for kernel, stride, padding in steps:
        if min(sizes[-1]) + 2 * padding < kernel:
            raise ValueError(
                f"model.kernels={model['kernels']} with model.strides={model['strides']} do not fit into images of "
                f"{height}x{width}: a kernel of {kernel} meets {sizes[-1][0]}x{sizes[-1][1]}."
            )
        sizes.append(tuple((side + 2 * padding - kernel) // stride + 1 for side in sizes[-1]))  # type: ignore[arg-type]
    small, depths = (hidden[-1], *sizes[-1]), [channels, *hidden]
    layers: list[nn.Module] = []
    if to_image:
        layers += [nn.Linear(units, math.prod(small)), _activation(model), nn.Unflatten(1, small)]
        for i in reversed(range(len(steps))):
            (kernel, stride, padding), reached = steps[i], zip(sizes[i + 1], sizes[i], strict=True)
            rest = tuple(large - ((few - 1) * stride - 2 * padding + kernel) for few, large in reached)
            made = nn.ConvTranspose2d(depths[i + 1], depths[i], kernel, stride, padding, rest)  # type: ignore[arg-type]
            layers += [made, _activation(model)]
        return [*layers[:-1], nn.Flatten(1)]
    layers.append(nn.Unflatten(1, shape))
    for (inputs, outputs), step in zip(pairwise(depths), steps, strict=True):
        layers += [nn.Conv2d(inputs, outputs, *step), _activation(model)]
    return [*layers, nn.Flatten(1), nn.Linear(math.prod(small), units)]


def _steps(model: ModelGroup) -> list[tuple[int, int, int]] | None:
    """Kernel, stride and padding of each convolution, or None where each halves the image."""
    kernels, strides, hidden = model.get("kernels"), model.get("strides"), model["hidden"]
    if kernels is None and strides is None:
        return None
    if not hidden or {len(kernels or []), len(strides or [])} != {len(hidden)}:
        raise ValueError(
            f"model.kernels and model.strides need one number each for every entry of model.hidden={hidden}; got "
            f"{kernels or 'none'} and {strides or 'none'}."
        )
    return [(kernel, stride, 0) for kernel, stride in zip(kernels or [], strides or [], strict=True)]


def _halvings(height: int, width: int) -> int:
    common = math.gcd(height, width)
    return (common & -common).bit_length() - 1
