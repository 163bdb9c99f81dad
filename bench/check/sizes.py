"""A latent family of a package, at sizes at which all its points can be enumerated or integrated over."""

from typing import Any, NamedTuple

import torch

from bench.check.support import Support, support
from bench.config import parts
from bench.model.latents import maker, units
from estimators import Enumerable, Latent

SPREAD = 0.7  # standard deviation of the random parameters
STATES = 2**12  # the most that are enumerated


class Family(NamedTuple):
    """A family of latents, and the sizes at which it is checked.

    Attributes:
        latent: its configuration group, with sizes that allow a sum or an integral over all points if `exact`.
        exact: whether there are such sizes.
    """

    name: str
    source: str
    latent: Any
    exact: bool

    def q(self, *batch: int, dtype: torch.dtype = torch.float64) -> Latent:
        """A distribution with random parameters `[*batch, *shape]` that require a gradient."""
        shape, _ = units(self.latent)
        return maker(self.latent)((SPREAD * torch.randn(*batch, *shape, dtype=dtype)).requires_grad_())

    def support(self, q: Latent) -> Support:
        """All points of q, which has one example."""
        return support(q)


def family(name: str, cls: type[Latent], source: str) -> Family:
    """The family of a package whose option has this name, at sizes for the checks. Impossible sizes raise BadInput."""
    whole = parts.complete("latent", {"_target_": f"{cls.__module__}.{cls.__qualname__}"})
    counts = [key for key, value in whole.items() if isinstance(value, int) and not isinstance(value, bool)]
    for size in (2, 3, 1):
        latent = whole | dict.fromkeys(counts, size)
        if _countable(latent):
            return Family(name, source, latent, True)
    return Family(name, source, whole, False)


def _countable(latent: Any) -> bool:
    """Whether the sizes are possible, and small enough to enumerate all states or to integrate over one number."""
    try:
        shape, values = units(latent)
        q = maker(latent)(torch.zeros(1, *shape, dtype=torch.float64))
    except ValueError:
        return False
    return q.states <= STATES if isinstance(q, Enumerable) else values == 1
