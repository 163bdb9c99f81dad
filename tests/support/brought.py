"""One part of each kind, as a user has it in a module of her own."""

import torch
import torch.nn.functional as F
from torch import nn

import bench
from bench.problems.base import Parameters
from estimators import Bernoulli
from tests.plugin_example.film import Film
from tests.support.planted_families import Die, Laplace
from tests.support.planted_models import Bits, Fixed

__all__ = ["Bits", "Branching", "Coins", "Conv", "Die", "Film", "Fixed", "Laplace", "Listed", "Noisy", "Target"]


class Coins(bench.Dataset):
    """Images of coins.

    Args:
        side: in pixels.
    """

    def __init__(self, side: int = 4, n: int = 60):
        if side < 1:
            raise ValueError(f"Coins needs side >= 1; got side={side}.")
        self.side, self.n = side, n

    def arrays(self):
        noise = torch.Generator().manual_seed(3)
        return {"train": torch.rand(self.n, self.side, self.side, generator=noise) < 0.4}


class Noisy(Coins):
    """What is no image."""

    def arrays(self):
        return {"train": super().arrays()["train"] * float("nan")}


class Listed(Coins):
    """No splits by their names."""

    def arrays(self):
        return [1]


class Conv(nn.Module):
    """Convolutions of images of 4x4 with batch normalisation, which is frozen."""

    def __init__(self, shape, latent, width: int = 3):
        super().__init__()
        self.latent = latent
        self.down = nn.Sequential(
            nn.Conv2d(shape[0], width, 3, 2, 1), nn.BatchNorm2d(width), nn.ReLU(inplace=True), nn.Flatten(),
            nn.Linear(4 * width, latent.outputs),
        )  # fmt: skip
        self.up = nn.Sequential(
            nn.Linear(latent.inputs, 4 * width), nn.Unflatten(1, (width, 2, 2)), nn.GroupNorm(1, width),
            nn.ReLU(inplace=True), nn.ConvTranspose2d(width, shape[0], 4, 2, 1),
        )  # fmt: skip
        self.eval()

    def encode(self, x):
        return self.latent(self.down(x))

    def logits(self, z):
        return self.up(self.latent.read(z).flatten(0, 1)).unflatten(0, z.shape[:2])

    def log_likelihood(self, x, z):
        logits = self.logits(z)
        return -F.binary_cross_entropy_with_logits(logits, x.expand_as(logits), reduction="none").sum((-3, -2, -1))

    def mean_images(self, z):
        return self.logits(z).sigmoid()


class Branching(Conv):
    """What it computes depends on a value, which no graph records and no vmap has."""

    def encode(self, x):
        return super().encode(x if float(x.sum()) >= 0 else -x)


class Target(bench.Problem):
    """E (b - t)^2, averaged over bits."""

    name = "target"
    family = Bernoulli

    def __init__(self, dim: int = 3, t: float = 0.4):
        super().__init__(Parameters(logits=torch.zeros(dim)))
        self.t = t

    def cost(self, x, z):
        return (z - self.t).square().mean(-1)
