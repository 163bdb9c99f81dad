"""How many draws are computed at once on each kind of device, and in which way."""

from typing import NamedTuple

import torch


class Plan(NamedTuple):
    """The fastest way to compute on one kind of device.

    Noise is drawn chunk by chunk, so a plan affects the numbers. It depends on the kind of device alone, and never on
    the free memory.

    Attributes:
        cache: MiB of a chunk beyond which larger chunks are no faster; None: larger ones are always faster.
        formed: explicit gradients of a layer computed at a time; None: as many as an eighth of the memory holds.
        folds: whether a convolution takes many draws as one batch, or one draw at a time.
        kept: whether a chunk's size follows from what the backward pass keeps, or from the outputs of all layers.
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
    "cpu": Plan(cache=48, formed=8, folds=False, kept=False),  # few gradients at a time fit into the cache
    "cuda": Plan(cache=None, formed=None, folds=True, kept=True),  # every launch costs the same, whatever its size
}
