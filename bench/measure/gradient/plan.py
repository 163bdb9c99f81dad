"""How many draws are taken at once, and what of them: by the kind of the device."""

from typing import NamedTuple

import torch


class Plan(NamedTuple):
    """What pays on one kind of device. Noise is drawn by the chunk, so a plan is part of the numbers: it depends on the
    kind of device alone, and never on how much memory is free.

    Attributes:
        cache: MiB beyond which more draws at once are computed no faster; None where they always are.
        formed: gradients of a layer formed at a time; None: as many as an eighth of the memory holds.
        folds: whether a convolution sees many draws as one batch, or each draw alone.
        kept: whether a chunk is sized by what draws keep, or by all that passes through layers.
    """

    cache: float | None
    formed: int | None
    folds: bool
    kept: bool

    def room(self, memory: float) -> float:
        """MiB of `memory` that a chunk takes."""
        return memory if self.cache is None else min(memory, self.cache)

    def at_once(self, memory: float, size: int, dtype: torch.dtype) -> int:
        """How many gradients of `size` coordinates are formed at a time."""
        return self.formed or max(1, int(memory * 2**17 / (size * dtype.itemsize)))


PLANS = {
    "cpu": Plan(cache=48, formed=8, folds=False, kept=False),  # a few gradients at a time stay in the cache
    "cuda": Plan(cache=None, formed=None, folds=True, kept=True),  # every launch costs, whatever its size
}
