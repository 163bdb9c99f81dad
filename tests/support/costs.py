"""Costs with known answers, and small latents to ask them about. Everything is float64."""

import math

import torch
from torch import Tensor, nn

from estimators import VQ, Bernoulli, Categorical, Gaussian, Latent


class Nonlinear(nn.Module):
    """(w.y - 0.4)^2 + prod(y) / 2 + exp(0.3 y_1 - 0.2 y_2) with parameter w, where y is z or the category's number."""

    def __init__(self, weights: tuple[float, ...] = (1.0, -2.0, 0.5)):
        super().__init__()
        self.weights = nn.Parameter(torch.tensor(weights, dtype=torch.float64))

    def forward(self, z: Tensor, q: Latent | None = None) -> Tensor:
        if z.shape[-2:-1] == self.weights.shape and z.shape[-1] != len(self.weights):  # one-hot [..., D, C]
            z = z @ torch.arange(z.shape[-1], dtype=z.dtype)
        return (z @ self.weights - 0.4) ** 2 + z.prod(-1) / 2 + (0.3 * z[..., 0] - 0.2 * z[..., 1]).exp()


class Quadratic(nn.Module):
    """sum_d (z_d - k)^2 with parameter k."""

    def __init__(self, k: float):
        super().__init__()
        self.k = nn.Parameter(torch.tensor(k, dtype=torch.float64))

    def forward(self, z: Tensor, q: Latent | None = None) -> Tensor:
        return ((z - self.k) ** 2).sum(-1)


class SampledKL(nn.Module):
    """`cost(z) + log q(z) - log p(z)` with p the family's standard prior; q is frozen unless it is handed in."""

    def __init__(self, cost: nn.Module, q: Latent):
        super().__init__()
        self.cost, self.q = cost, q

    def forward(self, z: Tensor, q: Latent | None = None) -> Tensor:
        q = self.q.detach() if q is None else q
        return self.cost(z) + q.log_prob(z) - self.q.standard().log_prob(z)


def three_bits() -> Bernoulli:
    """One example `[1, 3]`, whose answers under `Nonlinear()` are known."""
    return Bernoulli(torch.tensor([[0.3, -0.7, 1.1]], dtype=torch.float64))


def small_latents() -> dict[str, tuple[Latent, Nonlinear]]:
    """Of every family, two examples of two coordinates, with a nonlinear cost that couples them."""
    noise = torch.Generator().manual_seed(1)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=noise, dtype=torch.float64)

    latents = {
        "gaussian": Gaussian(0.3 * normal(2, 4)),
        "bernoulli": Bernoulli(normal(2, 2)),
        "categorical": Categorical(normal(2, 2, 3)),
        "vq": VQ(normal(2, 2, 2), codebook=normal(3, 2), temperature=1.5),
    }
    return {family: (q, Nonlinear((0.8, -0.5))) for family, q in latents.items()}


def one_example(family):
    """The first example of `small_latents`, with its cost."""
    q, cost = small_latents()[family]
    return q.with_params(q.params[:1]), cost


def one_coordinate(mean=0.4, std=0.7):
    """A Gaussian of one example and one coordinate."""
    return Gaussian(torch.tensor([[mean, math.log(std)]], dtype=torch.float64))
