"""Functions of one Gaussian variable: Mohamed, Rosca, Figurnov & Mnih, JMLR 21, 2020, arXiv:1906.10652, section 3.

Their gradients are with respect to mean and std; here, as everywhere in the suite, to mean and log std, which is std
times the latter: the same at std = 1, where they stand. Expectations are trapezoidal sums over 12 standard deviations
to each side, whose error falls faster than any power of the step for functions as smooth as these.
"""

import math
from abc import abstractmethod

import numpy as np
import torch
from torch import Tensor

from bench.problems.base import Parameters
from bench.problems.toys import CostMoments, Toy
from estimators import Estimator, Gaussian
from estimators.antithetic import Antithetic
from estimators.measure_valued import MeasureValued
from estimators.reparam import Reparam

REACH, STEP, INNER = 12, 1 / 128, 400  # of the sums, in standard deviations; Gauss-Legendre nodes of the others


class GaussianToy(Toy):
    """E f(z), z ~ N(mean, std^2), a scalar.

    Args:
        k: the parameter of f.
        mean: where q's mean starts.
        std: where q's standard deviation starts, above 0.
    """

    family = Gaussian

    def __init__(self, k: float, mean: float, std: float):
        start = {"mean": mean, "log_std": math.log(std)}
        super().__init__(Parameters(**{n: torch.tensor([v], dtype=torch.float64) for n, v in start.items()}))
        self.k = k

    @abstractmethod
    def function(self, z: Tensor) -> Tensor:
        """f, elementwise."""

    def cost(self, x: Tensor, z: Tensor) -> Tensor:
        return self.function(z.squeeze(-1))

    def moments(self) -> CostMoments:
        mean, std = self._place()
        noise, weights = normal_sum()
        scores = torch.stack([noise / std, noise**2 - 1], -1)
        return CostMoments.of(weights, self.function(mean + std * noise), scores)

    def variance(self, estimator: Estimator) -> Tensor | None:
        match estimator:
            case Reparam():
                return self.pathwise() / estimator.k
            case Antithetic():
                return self.pathwise(mirrored=True) / estimator.k
            case MeasureValued():
                return (self._second_moments(estimator.coupled) - self.gradient() ** 2) / estimator.k
        return super().variance(estimator)

    def pathwise(self, mirrored: bool = False) -> Tensor:
        """Variance `[2]` of f'(z) dz/d(mean, log std) = f'(z) (1, std noise); `mirrored`: of its mean over noise of
        either sign."""
        mean, std = self._place()
        noise, weights = normal_sum()
        z = (mean + std * noise).requires_grad_()
        (slope,) = torch.autograd.grad(self.function(z).sum(), [z])
        path = slope[:, None] * torch.stack([torch.ones_like(noise), std * noise], -1)
        path = (path + path.flip(0)) / 2 if mirrored else path
        return weights @ (path - weights @ path) ** 2

    def _second_moments(self, coupled: bool) -> Tensor:
        """Of one measure-valued estimate: (f(mean + std w) - f(mean - std w~)) / (std sqrt(2 pi)) for the mean, with
        Rayleigh noise, and f(mean + std m) - f(z) for the log std, with double-sided Maxwell m and z = mean + std m u
        when coupled, u uniform; uncoupled, the two points are independent."""
        mean, std = self._place()
        unit, lengths = (torch.from_numpy(a) / 2 for a in np.polynomial.legendre.leggauss(INNER))
        u = unit + 0.5  # [I] nodes in (0, 1), of weights `lengths`
        w = REACH * u
        rayleigh = REACH * lengths * w * (-0.5 * w**2).exp()
        up, down = self.function(mean + std * w), self.function(mean - std * w)
        noise, weights = normal_sum()
        maxwell = weights * noise**2
        outer, inner = self.function(mean + std * noise), self.function(mean + std * noise[:, None] * u) @ lengths
        squares = rayleigh @ (up**2 + down**2), maxwell @ outer**2 + weights @ outer**2
        if coupled:
            products = rayleigh @ (up * down), maxwell @ (outer * inner)
        else:
            products = (rayleigh @ up) * (rayleigh @ down), (maxwell @ outer) * (weights @ outer)
        of_mean, of_log_std = (s - 2 * p for s, p in zip(squares, products, strict=True))
        return torch.stack([of_mean / (2 * math.pi * std**2), of_log_std])

    def _place(self) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation `[]` in float64, no gradient."""
        mean, log_std = self.encoder().detach().double().cpu()
        return mean, log_std.exp()


class GaussianQuadratic(GaussianToy):
    """f(z) = (z - k)^2."""

    name = "gaussian_quadratic"

    def function(self, z: Tensor) -> Tensor:
        return (z - self.k) ** 2


class GaussianExp(GaussianToy):
    """f(z) = exp(-k z^2), k >= 0, so that every moment exists."""

    name = "gaussian_exp"

    def __init__(self, k: float, mean: float, std: float):
        if k < 0:
            raise ValueError(f"gaussian_exp is exp(-k x^2), bounded where problem.k is 0 or more; got {k}.")
        super().__init__(k, mean, std)

    def function(self, z: Tensor) -> Tensor:
        return (-self.k * z**2).exp()


class GaussianCosine(GaussianToy):
    """f(z) = cos(k z)."""

    name = "gaussian_cosine"

    def function(self, z: Tensor) -> Tensor:
        return (self.k * z).cos()


def normal_sum() -> tuple[Tensor, Tensor]:
    """Points `[S]` and weights `[S]` of the standard normal, in float64."""
    noise = torch.arange(-REACH / STEP, REACH / STEP + 1, dtype=torch.float64) * STEP
    return noise, STEP / math.sqrt(2 * math.pi) * (-0.5 * noise**2).exp()
