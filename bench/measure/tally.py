"""Running sums over draws, from which every statistic of a gradient follows. Memory does not grow with the draws."""

import torch
from torch import Tensor

from bench.measure.layers import squared_length


class Tally:
    """Sums over the draws of one block of coordinates, kept apart for G groups of consecutive draws.

    Attributes:
        counts: `[G]` draws in each group.
        squares: `[G]` sum of the squared norms of each group's gradients, in float64.
        sums: `[G, P]` sum of each group's gradients.
        constant: `[P]` what belongs to every gradient and was left out of both: the part without noise, and a shift
            near the mean that keeps precision.
    """

    def __init__(self, counts: Tensor, device: torch.device):
        self.counts = counts
        self.single = int(counts.max()) == 1  # every group is one draw, whose gradient may as well be formed
        self.squares = torch.zeros(len(counts), dtype=torch.float64, device=device)
        self.sums = torch.zeros(len(counts), 0, device=device)
        self.constant = torch.zeros(0, device=device)

    def add_vectors(self, groups: Tensor, vectors: Tensor) -> None:
        """Add one gradient per draw, `vectors [r, P]`, to the groups `groups [r]` of the draws."""
        self.add_squares(groups, squared_length(vectors))
        self._room(vectors).index_add_(0, groups, vectors)

    def add_squares(self, groups: Tensor, squares: Tensor) -> None:
        """Add squared norms `[r]` of draws that belong to `groups [r]`."""
        self.squares.index_add_(0, groups, squares.double())

    def add_sum(self, group: int, total: Tensor) -> None:
        """Add the sum `[P]` of some gradients of one group."""
        self._room(total)[group] += total

    def _room(self, like: Tensor) -> Tensor:
        if not self.sums.numel():
            self.sums = like.new_zeros(len(self.counts), like.shape[-1])
        return self.sums

    def merge(self, other: "Tally") -> None:
        """Add further, independent draws of the same block, by groups; its constant may be another."""
        into = torch.arange(len(other.counts)) * len(self.counts) // len(other.counts)
        mine, theirs, counts = self.vectors(), other.vectors().double(), other.counts.to(self.squares.device)
        on_device, shift = into.to(self.squares.device), theirs[-1] - mine[-1].double()
        squares = other.squares + 2 * theirs[:-1] @ shift + counts * (shift @ shift)
        self.squares.index_add_(0, on_device, squares)
        sums = theirs[:-1] + counts[:, None] * shift
        self.sums, self.constant = mine[:-1].index_add(0, on_device, sums.to(mine.dtype)), mine[-1]
        self.counts = self.counts.index_add(0, into, other.counts)
        self.single = False

    def vectors(self) -> Tensor:
        """`[G + 1, P]`: the sums of the groups, then the constant."""
        width = max(self.sums.shape[1], len(self.constant))
        sums = self.sums if self.sums.numel() else self.squares.new_zeros(len(self.counts), width)
        constant = self.constant if len(self.constant) else sums.new_zeros(width)
        return torch.cat([sums, constant[None].to(sums.dtype)])

    def mean(self) -> Tensor:
        """The mean gradient `[P]` over all draws, with everything in it."""
        vectors = self.vectors()
        return vectors[:-1].sum(0) / self.counts.sum() + vectors[-1]
