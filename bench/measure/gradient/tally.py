"""Running sums over draws, from which all statistics of a gradient follow. Memory does not grow with the draws."""

import torch
from torch import Tensor

from bench.measure.gradient.layers import form, squared_length


class Tally:
    """Sums over the draws of one block of coordinates, one for each of G groups of consecutive draws.

    Attributes:
        counts: `[G]` draws in each group.
        squares: `[G]` sum of the squared norms of each group's gradients, in float64.
        sums: `[G, W]` sum of each group's gradients. For a linear layer whose `inputs` all draws share, the sum of the
            cotangents `[n, out]`, of which the gradients are a linear function.
        constant: `[W]` the part of every gradient that squares and sums leave out: the part without noise, and a shift
            near the mean, which keeps precision.
        inputs: `[n, in]` the shared inputs of a linear layer, with a column of ones for a bias; else None.
    """

    def __init__(self, counts: Tensor, device: torch.device):
        self.counts = counts
        self.single = int(counts.max()) == 1  # every group is one draw: its explicit gradient costs no more
        self.inputs: Tensor | None = None
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

    def add_cotangents(self, groups: Tensor, squares: Tensor, inputs: Tensor, cotangents: Tensor) -> None:
        """Add draws by the squared norms `[r]` of their gradients and their cotangents `[r, n, out]`."""
        self.inputs = inputs
        self.add_squares(groups, squares)
        self._room(cotangents.flatten(1)).index_add_(0, groups, cotangents.flatten(1))

    def add_sums(self, first: int, totals: Tensor) -> None:
        """Add the sums `[g, P]` of some gradients of g groups, from the first on."""
        self._room(totals)[first : first + len(totals)] += totals

    def _room(self, like: Tensor) -> Tensor:
        if not self.sums.numel():
            self.sums = like.new_zeros(len(self.counts), like.shape[-1])
        return self.sums

    def merge(self, other: "Tally") -> None:
        """Add another tally of the same block: further independent draws, perhaps with another constant."""
        into = torch.arange(len(other.counts)) * len(self.counts) // len(other.counts)
        mine, theirs, counts = self.rows(), other.rows().double(), other.counts.to(self.squares.device)
        on_device, shift = into.to(self.squares.device), theirs[-1] - mine[-1].double()
        weighed = self.weighed(shift[None])[0]
        squares = other.squares + 2 * theirs[:-1] @ weighed + counts * (shift @ weighed)
        self.squares.index_add_(0, on_device, squares)
        sums = theirs[:-1] + counts[:, None] * shift
        self.sums, self.constant = mine[:-1].index_add(0, on_device, sums.to(mine.dtype)), mine[-1]
        self.counts = self.counts.index_add(0, into, other.counts)
        self.single = False

    def rows(self, dtype: torch.dtype | None = None) -> Tensor:
        """`[G + 1, W]`: the sums of the groups, then the constant, both as they are stored, or of another type."""
        width = max(self.sums.shape[1], len(self.constant))
        like = self.sums if self.sums.numel() else self.squares
        found = like.new_empty(len(self.counts) + 1, width, dtype=dtype)  # written once: these are the largest of all
        found[:-1] = self.sums if self.sums.numel() else 0
        found[-1] = self.constant if len(self.constant) else 0
        return found

    def weighed(self, rows: Tensor) -> Tensor:
        """Rows `[g, W]` such that `rows @ weighed(rows).mT` holds the gradients' inner products, without the explicit
        gradients: <A'D, A'E> = <D, A A' E>."""
        if self.inputs is None:
            return rows
        inputs = self.inputs.to(rows.dtype)
        return (inputs @ inputs.mT @ rows.unflatten(1, (len(inputs), -1))).flatten(1)

    def vectors(self) -> Tensor:
        """`[G + 1, P]`: the explicit gradients of the rows."""
        return self._formed(self.rows())

    def mean(self) -> Tensor:
        """The mean gradient `[P]` over all draws, the constant included."""
        rows = self.rows()
        return self._formed((rows[:-1].sum(0) / self.counts.sum() + rows[-1])[None])[0]

    def _formed(self, rows: Tensor) -> Tensor:
        if self.inputs is None:
            return rows
        return form(self.inputs.to(rows.dtype), rows.unflatten(1, (len(self.inputs), -1)))
