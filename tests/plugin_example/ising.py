"""The energy of a chain of spins under independent bits: a problem whose gradient is known."""

import torch
from torch import Tensor

from bench import Problem
from bench.problems.base import Parameters
from estimators import Bernoulli


class Ising(Problem):
    """E[-coupling sum_d s_d s_(d+1) - field sum_d s_d] of spins s = 2 b - 1, each of its own bit.

    Args:
        dim: spins, 2 or more.
        coupling: between neighbours.
        field: on each.
    """

    name = "ising"
    family = Bernoulli

    def __init__(self, dim: int = 8, coupling: float = 1.0, field: float = 0.1):
        if dim < 2:
            raise ValueError(f"Ising needs two spins or more; got dim={dim}.")
        super().__init__(Parameters(logits=torch.linspace(-1, 1, dim)))
        self.coupling, self.field = coupling, field

    def cost(self, x: Tensor, z: Tensor) -> Tensor:
        return self._energy(2 * z - 1)

    def value(self) -> float:
        return float(self._energy(self._mean()).detach())

    def gradient(self) -> Tensor:
        (found,) = torch.autograd.grad(self._energy(self._mean()), [self.encoder.logits])
        return found.double()

    def _mean(self) -> Tensor:
        """E s, `[D]`."""
        return torch.tanh(self.encoder() / 2)

    def _energy(self, s: Tensor) -> Tensor:
        """`[..., D]` -> `[...]`. It is linear in each spin, so that its mean is its value at the means."""
        return -self.coupling * (s[..., 1:] * s[..., :-1]).sum(-1) - self.field * s.sum(-1)
