"""Models that are right, by their kind of image, and copies of them with one thing wrong."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.model.levels import categorical256
from estimators import Bernoulli


class Bits(nn.Module):
    """A likelihood of bits, of images of any size, from whatever latents there are."""

    def __init__(self, shape, latent, width: int = 4):
        super().__init__()
        pixels = math.prod(shape)
        self.latent = latent
        self.inner = nn.Sequential(nn.Flatten(), nn.Linear(pixels, width), nn.Tanh(), nn.Linear(width, latent.outputs))
        self.outer = nn.Linear(latent.inputs, pixels)

    def encode(self, x: Tensor):
        return self.latent(self.inner(x))

    def log_likelihood(self, x: Tensor, z: Tensor) -> Tensor:
        return self.of_pixels(x.flatten(1), self.outer(self.latent.read(z))).sum(-1)

    def of_pixels(self, x: Tensor, output: Tensor) -> Tensor:
        return -F.binary_cross_entropy_with_logits(output, x.expand_as(output), reduction="none")


class Density(Bits):
    """A Gaussian one of real numbers, of unit variance."""

    def of_pixels(self, x, output):
        return -0.5 * (x - output) ** 2 - 0.5 * math.log(2 * math.pi)


class Levels(Bits):
    """One of 256 levels."""

    def log_likelihood(self, x, z):
        return categorical256(x.flatten(1), self.outer(self.latent.read(z)), torch.zeros(1))


class Wide(Bits):
    """It takes images of 4x4 and more."""

    def __init__(self, shape, latent, width: int = 4):
        if shape[1] < 4:
            raise ValueError("Wide needs images of 4x4.")
        super().__init__(shape, latent, width)


class Fixed(nn.Module):
    """It has three bits, whatever is asked for."""

    def __init__(self, shape):
        super().__init__()
        self.inner, self.outer = nn.Linear(math.prod(shape), 3), nn.Linear(3, math.prod(shape))

    def encode(self, x):
        return Bernoulli(self.inner(x.flatten(1)))

    def log_likelihood(self, x, z):
        output = self.outer(z)
        return -F.binary_cross_entropy_with_logits(output, x.flatten(1).expand_as(output), reduction="none").sum(-1)


class NoConstant(Density):
    """The density without its normalisation."""

    def of_pixels(self, x, output):
        return -0.5 * (x - output) ** 2


class Meets(Bits):
    """A pixel counts by how far it is from the mean of the batch."""

    def encode(self, x):
        return super().encode(x - x.mean(0))


class Averages(Bits):
    """One value for all examples."""

    def log_likelihood(self, x, z):
        return super().log_likelihood(x, z).mean(-1)


class Impossible(Bits):
    """Its prior gives no point a chance."""

    def log_prior(self, z):
        return torch.full(z.shape[:2], -math.inf, dtype=z.dtype)
