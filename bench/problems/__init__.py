"""Problems beside the VAE, most with known answers: the same estimators, measurements, training and tables."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from bench.problems.base import Known, Problem
from bench.problems.bits import BernoulliBits, BernoulliCoupled
from bench.problems.gaussian import GaussianCosine, GaussianExp, GaussianQuadratic
from bench.problems.logistic import LogisticRegression, Shared, breast_cancer

__all__ = ["PROBLEMS", "VAE", "Known", "NoData", "Problem", "data", "family", "problem"]

VAE = "vae"  # the name of the problem that is none of these
PROBLEMS: dict[str, type[Problem]] = {
    cls.name: cls
    for cls in (GaussianQuadratic, GaussianExp, GaussianCosine, BernoulliBits, BernoulliCoupled, LogisticRegression)
}


@dataclass(frozen=True)
class NoData:
    """Batches of a problem without data: `x [B, 1]`, all zeros, says only how many examples there are."""

    device: torch.device
    dtype: torch.dtype
    splits: tuple[str, ...] = ("train",)

    def _zeros(self, *lead: int) -> Tensor:
        return torch.zeros(*lead, 1, device=self.device, dtype=self.dtype)

    def probe(self, batches: int, batch_size: int, seed: int) -> Tensor:
        """`[batches, batch_size, 1]`."""
        return self._zeros(batches, batch_size)

    def fixed(self, split: str, n: int | None, seed: int) -> Tensor:
        """`[1, 1]`."""
        return self._zeros(1)


def problem(name: str, **parameters: Any) -> Problem:
    """The problem of the `problem` group of a config, in float64. Raises ValueError where a parameter cannot be."""
    return PROBLEMS[name](**parameters).double()


def data(name: str, device: torch.device, dtype: torch.dtype) -> Shared | NoData:
    """What the problem is about."""
    if PROBLEMS[name] is LogisticRegression:
        return breast_cancer(device=device, dtype=dtype)
    return NoData(device, dtype)


def family(config: dict[str, Any]) -> str:
    """The latent family of a run."""
    name = config["problem"]["name"]
    return config["latent"]["family"] if name == VAE else PROBLEMS[name].family.family
