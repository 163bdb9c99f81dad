"""A likelihood of whole numbers from 0 to 255: the discretised logistic of image models.

D. P. Kingma et al., Improved variational inference with inverse autoregressive flow, 2016, arXiv:1606.04934, and T.
Salimans et al., PixelCNN++, 2017, arXiv:1701.05517, here with one component: a logistic density around the decoder's
output is integrated over each level, the lowest and the highest taking all that lies beyond.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

LEVELS = 255  # the highest


def categorical256(x: Tensor, mean: Tensor, log_std: Tensor) -> Tensor:
    """log p(x) in nats, summed over pixels: a probability, so that over the 256 values of a pixel it sums to 1.

    With F the logistic function, a level lies between a and b, 1/255 apart, in units of the scale s: F(b) - F(a) =
    F(b) F(-a) (1 - exp(a - b)), of which no factor cancels, however far the level is from the mean.

    Args:
        x: `[B, X]`, whole numbers over 255.
        mean: `[..., B, X]`, or `[..., 1, X]` for means that all examples share.
        log_std: `[1]`, log of the standard deviation of the density, pi / sqrt(3) times its scale.

    Returns:
        `[..., B]`.
    """
    if mean.shape[-2] == 1 and x.shape[-2] > 1:  # one example at a time, or all pairs would be held at once
        return torch.cat([categorical256(row, mean, log_std) for row in x.split(1, -2)], -1)
    scale = log_std.exp() * (math.sqrt(3) / math.pi)
    middle, half = (x - mean) / scale, 0.5 / LEVELS / scale
    lowest, highest = x * LEVELS < 0.5, x * LEVELS > LEVELS - 0.5
    below = F.logsigmoid(middle + half).masked_fill(highest, 0)
    above = F.logsigmoid(half - middle).masked_fill(lowest, 0)
    width = torch.log(-torch.expm1(-2 * half)).masked_fill(lowest | highest, 0)
    return (below + above + width).sum(-1)
