"""One part of each kind, as a user has it in a module of her own."""

import torch

import bench
from bench.problems.base import Parameters
from estimators import Bernoulli
from tests.support.planted_families import Die, Laplace
from tests.support.planted_models import Bits, Fixed

__all__ = ["Bits", "Coins", "Die", "Fixed", "Laplace", "Listed", "Noisy", "Target"]


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


class Target(bench.Problem):
    """E (b - t)^2, averaged over bits."""

    name = "target"
    family = Bernoulli

    def __init__(self, dim: int = 3, t: float = 0.4):
        super().__init__(Parameters(logits=torch.zeros(dim)))
        self.t = t

    def cost(self, x, z):
        return (z - self.t).square().mean(-1)
