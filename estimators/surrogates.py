"""A learned stand-in for the cost, for the estimators that differentiate it in the cost's place."""

import torch
from torch import Tensor, nn


class Surrogate(nn.Module):
    """A network of a point `z [K, ..., B, U]` and of the data `x [B, X]` that predicts the point's cost `[K, ..., B]`.

    One hidden layer, smooth, so that its slope in z exists everywhere. The sizes of z and x are taken from the first
    pair that is handed in.

    Args:
        hidden: units of the hidden layer, 1 or more.

    Raises:
        ValueError: where there is no hidden unit.
    """

    def __init__(self, hidden: int):
        super().__init__()
        if hidden < 1:
            raise ValueError(f"A surrogate needs hidden >= 1 units; got hidden={hidden}.")
        self.from_z, self.from_x = nn.LazyLinear(hidden), nn.LazyLinear(hidden, bias=False)
        self.out = nn.Linear(hidden, 1)

    def take_sizes(self, z: Tensor, x: Tensor) -> None:
        """Make the layers, once. To be called before torch.func, inside of which making them crashes torch."""
        if isinstance(self.from_z, nn.LazyLinear):  # a plain Linear from the first pass on
            self(z, x)

    def forward(self, z: Tensor, x: Tensor) -> Tensor:
        return self.out(torch.tanh(self.from_z(z) + self.from_x(x))).squeeze(-1)  # the sum is a layer of both
