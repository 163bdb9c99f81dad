"""Encoder and decoder networks: fully connected or convolutional, the decoder mirroring the encoder."""

import math
from itertools import pairwise

import torch
from torch import Tensor, nn

from bench.settings import ModelGroup


class Trunk(nn.Module):
    """Image to `units` values, or `units` values to an image.

    With `arch: mlp`, `hidden` holds the widths from the image to the latent; `[]` is a linear map. With `arch: conv` it
    holds channels, each convolution halving the image (kernel 4, stride 2), and a linear layer joins it to the units.
    """

    def __init__(self, model: ModelGroup, shape: tuple[int, int, int], units: int, to_image: bool):
        super().__init__()
        build = _convolutional if model["arch"] == "conv" else _fully_connected
        self.net = nn.Sequential(*build(model, shape, units, to_image))
        if model["init"] == "glorot":
            for layer in self.net:
                if isinstance(layer, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
                    nn.init.xavier_uniform_(layer.weight)
                    nn.init.zeros_(layer.bias)  # type: ignore[arg-type]

    def forward(self, values: Tensor) -> Tensor:
        """`[..., inputs]` -> `[..., outputs]`."""
        lead = values.shape[:-1]
        if isinstance(self.net[0], nn.Unflatten) or (len(self.net) > 1 and isinstance(self.net[-1], nn.Flatten)):
            return self.net(values.reshape(-1, values.shape[-1])).unflatten(0, lead)
        return self.net(values)

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
    shrink = 2 ** len(hidden)
    if not hidden or height % shrink or width % shrink:
        raise ValueError(
            f"A convolutional model halves the image once per entry of model.hidden={hidden}; "
            f"{height}x{width} images can be halved {_halvings(height, width)} times, and at least once is needed."
        )
    small = (hidden[-1], height // shrink, width // shrink)
    depths = [channels, *hidden]
    layers: list[nn.Module] = []
    if to_image:
        layers += [nn.Linear(units, math.prod(small)), _activation(model), nn.Unflatten(1, small)]
        for inputs, outputs in zip(depths[:0:-1], depths[-2::-1], strict=True):
            layers += [nn.ConvTranspose2d(inputs, outputs, 4, 2, 1), _activation(model)]
        return [*layers[:-1], nn.Flatten(1)]
    layers.append(nn.Unflatten(1, shape))
    for inputs, outputs in pairwise(depths):
        layers += [nn.Conv2d(inputs, outputs, 4, 2, 1), _activation(model)]
    return [*layers, nn.Flatten(1), nn.Linear(math.prod(small), units)]


def _halvings(height: int, width: int) -> int:
    common = math.gcd(height, width)
    return (common & -common).bit_length() - 1
