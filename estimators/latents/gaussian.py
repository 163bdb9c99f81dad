"""The diagonal Gaussian."""

import math
from typing import Any, Self

import torch
from torch import Tensor

from estimators.latents.base import Latent


class Gaussian(Latent):
    """Diagonal Gaussian. `params [..., B, 2D]`: mean and log standard deviation, concatenated. z `[K, ..., B, D]`."""

    family = "gaussian"

    def __init__(self, params: Tensor):
        super().__init__(params)
        self.mean, self.log_std = params.chunk(2, -1)

    @property
    def std(self) -> Tensor:
        """Standard deviation `[..., B, D]`, as `mean` and `log_std` are shaped."""
        return self.log_std.exp()

    def normal(self, k: int) -> Tensor:
        """Standard normal noise `[K, ..., B, D]`."""
        return torch.randn(k, *self.mean.shape, dtype=self.mean.dtype, device=self.mean.device)

    def rayleigh(self, k: int) -> Tensor:
        """Rayleigh noise `[K, ..., B, D]`: the length of two normals, with density w exp(-w^2 / 2)."""
        return self.normal(2 * k).unflatten(0, (2, k)).norm(dim=0)

    def maxwell(self, k: int) -> tuple[Tensor, Tensor]:
        """Double-sided Maxwell noise, density m^2 exp(-m^2 / 2) / sqrt(2 pi), and normal noise `[K, ..., B, D]` each.

        The former is the length of three normals with the sign of the first, the latter is the first: the ratio of the
        two is uniform on (0, 1) and independent of the former.
        """
        normals = self.normal(3 * k).unflatten(0, (3, k))
        return normals.norm(dim=0).copysign(normals[0]), normals[0]

    def rsample(self, k: int) -> Tensor:
        """k samples mean + std * noise, with gradient to the parameters."""
        return self.mean + self.std * self.normal(k)

    def sample(self, k: int) -> Tensor:
        return self.rsample(k).detach()

    def standardised(self, z: Tensor) -> Tensor:
        """The noise that makes z: (z - mean) / std. At the mean it is 0, however small the standard deviation is."""
        info = torch.finfo(self.std.dtype)
        return (z - self.mean) / self.std.clamp(min=info.tiny * info.eps)  # the least number above 0

    def log_prob(self, z: Tensor) -> Tensor:
        return (-0.5 * self.standardised(z) ** 2 - self.log_std - 0.5 * math.log(2 * math.pi)).sum(-1)

    def standard(self) -> Self:
        return type(self)(torch.zeros_like(self.params[..., :1, :]))

    def kl(self, prior: Any = None) -> Tensor:
        if prior is None:
            return (0.5 * (self.mean**2 + self.std**2 - 1) - self.log_std).sum(-1)
        shift, ratio = prior.standardised(self.mean), self.log_std - prior.log_std
        return (0.5 * (shift**2 + (2 * ratio).exp() - 1) - ratio).sum(-1)
