"""A cost that the user writes, as a problem."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from torch import Tensor

from bench.problems.base import Parameters, Problem
from estimators import Latent

if TYPE_CHECKING:
    pass

LOOKED_AT = 1024  # samples at which the sign of the cost is tested


class OwnCost(Problem):
    """A problem with the user's cost. Gradients are those of q's parameters; the cost's own are left alone."""

    name = "your cost"

    def __init__(self, cost: Callable[[Tensor], Tensor], q: Latent):
        super().__init__(Parameters(params=q.params))
        self.call, self.q = lambda z: cost(z), q  # a lambda, since a module would become a part of this one
        self.points = q.point_ndim + 1  # axes of one point of each example, `[B, *]`

    def encode(self, x: Tensor) -> Latent:
        return self.q.with_params(self.encoder())

    @property
    def rewards(self) -> bool:  # type: ignore[override]
        """Whether the cost of any of `LOOKED_AT` samples is negative, as that of a reward is."""
        return bool((self.call(self.q.sample(LOOKED_AT)) < 0).any())

    def cost(self, x: Tensor, z: Tensor) -> Tensor:
        """The costs `[..., B]` of `z [..., B or 1, *]`. The user's function gets one leading axis: `[K, B, *]`."""
        leading, point = z.shape[: z.ndim - self.points], z.shape[z.ndim - self.points + 1 :]
        return self.call(z.expand(*leading, len(x), *point).reshape(-1, len(x), *point)).reshape(*leading, len(x))
