"""A latent family from elsewhere, at sizes at which all that it may be can be gone through."""

from typing import Any, NamedTuple

import torch

from bench.check.support import Support, support
from bench.config import parts
from bench.model.latents import maker, units
from estimators import Enumerable, Latent

SPREAD = 0.7  # of the parameters that are looked at
STATES = 2**12  # at most


class Family(NamedTuple):
    """A family of latents, and the sizes at which it is looked at.

    Attributes:
        latent: its group of the configuration, small enough to sum or to integrate over; so it is where `exact`.
        exact: whether there are such sizes.
    """

    name: str
    source: str
    latent: Any
    exact: bool

    def q(self, *batch: int, dtype: torch.dtype = torch.float64) -> Latent:
        """With random parameters `[*batch, *shape]` that have a gradient."""
        shape, _ = units(self.latent)
        return maker(self.latent)((SPREAD * torch.randn(*batch, *shape, dtype=dtype)).requires_grad_())

    def support(self, q: Latent) -> Support:
        """Everything that the only example of q may be."""
        return support(q)


def family(name: str, cls: type[Latent], source: str) -> Family:
    """A family of a package, whose option has this name. Raises BadInput where its sizes are none."""
    whole = parts.complete("latent", {"_target_": f"{cls.__module__}.{cls.__qualname__}"})
    counts = [key for key, value in whole.items() if isinstance(value, int) and not isinstance(value, bool)]
    for size in (2, 3, 1):
        latent = whole | dict.fromkeys(counts, size)
        if _countable(latent):
            return Family(name, source, latent, True)
    return Family(name, source, whole, False)


def _countable(latent: Any) -> bool:
    """Whether the sizes are possible, and so small that all points can be gone through."""
    try:
        shape, values = units(latent)
        q = maker(latent)(torch.zeros(1, *shape, dtype=torch.float64))
    except ValueError:
        return False
    return q.states <= STATES if isinstance(q, Enumerable) else values == 1
