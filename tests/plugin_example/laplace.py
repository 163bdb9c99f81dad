"""A latent family: independent Laplace variables."""

import math
from typing import Any, Self

import torch
from torch import Tensor

from estimators import Latent


class Laplace(Latent):
    """Independent Laplace variables. `params [..., B, 2D]`: means and log scales. z `[K, ..., B, D]`."""

    family = "laplace"

    @classmethod
    def sizes(cls, dim: int = 20) -> tuple[tuple[int, ...], int]:
        """The shape of one example's params, and the number of values of its z."""
        return (2 * dim,), dim

    def __init__(self, params: Tensor):
        super().__init__(params)
        self.mean, self.log_scale = params.chunk(2, -1)

    def rsample(self, k: int) -> Tensor:
        """k samples with gradient to the parameters."""
        noise = torch.rand(k, *self.mean.shape, dtype=self.mean.dtype, device=self.mean.device) - 0.5
        return self.mean - self.log_scale.exp() * noise.sign() * torch.log1p(-2 * noise.abs())

    def sample(self, k: int) -> Tensor:
        return self.rsample(k).detach()

    def log_prob(self, z: Tensor) -> Tensor:
        return (-((z - self.mean) * (-self.log_scale).exp()).abs() - self.log_scale - math.log(2)).sum(-1)

    def standard(self) -> Self:
        return type(self)(torch.zeros_like(self.params[..., :1, :]))

    def kl(self, prior: Any = None) -> Tensor:
        prior = self.standard() if prior is None else prior
        far, ratio = (self.mean - prior.mean).abs(), self.log_scale - prior.log_scale
        inner = self.log_scale.exp() * (-far * (-self.log_scale).exp()).exp() + far
        return (inner * (-prior.log_scale).exp() - ratio - 1).sum(-1)
