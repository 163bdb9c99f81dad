"""Baselines for the score function: what a sample is expected to cost before it is drawn.

Each is a module with `centre` (a scalar), `forward(x)`, which gives the baseline, broadcastable to `[..., B]`, and
`update(cost [..., B])`, the only place where its state moves. None of them sees the current sample, so each leaves the
mean of the gradient as it is.
"""

import torch
from torch import Tensor, nn


class Constant(nn.Module):
    """The same number for every example, in nats."""

    centre: Tensor

    def __init__(self, value: float):
        super().__init__()
        self.register_buffer("centre", torch.tensor(float(value)), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.centre

    def update(self, cost: Tensor) -> None:
        """Nothing moves."""


class MovingAverage(nn.Module):
    """Exponential moving average of all costs up to the last update: one scalar for all examples, 0 before the first.

    The weights of the past sum to one from the first update on, so that the average does not start near 0.

    Args:
        decay: weight of the past at each update, 0 (only the last batch) to below 1.
    """

    centre: Tensor
    updates: Tensor

    def __init__(self, decay: float):
        super().__init__()
        if not 0 <= decay < 1:
            raise ValueError(f"The decay of a moving average is 0 or more and below 1; got {decay}.")
        self.decay = decay
        self.register_buffer("centre", torch.tensor(0.0))
        self.register_buffer("updates", torch.tensor(0))

    def forward(self, x: Tensor) -> Tensor:
        return self.centre

    @torch.no_grad()
    def update(self, cost: Tensor) -> None:
        self.updates += 1
        rate = (1 - self.decay) / (1 - self.decay**self.updates)
        self.centre += rate * (cost.mean() - self.centre)


class Network(nn.Module):
    """The moving average plus a network that reads the data `x [B, X]` and predicts how far its cost will be from it.

    One hidden layer. The size of x is taken from the first forward pass.

    Args:
        decay: of the moving average.
        hidden: units of the hidden layer.
    """

    def __init__(self, decay: float, hidden: int):
        super().__init__()
        self.average = MovingAverage(decay)
        self.layers = nn.Sequential(nn.LazyLinear(hidden), nn.Tanh(), nn.Linear(hidden, 1))

    @property
    def centre(self) -> Tensor:
        return self.average.centre

    def forward(self, x: Tensor) -> Tensor:
        return self.centre + self.layers(x).squeeze(-1)  # [B]

    def update(self, cost: Tensor) -> None:
        self.average.update(cost)


Baseline = Constant | MovingAverage | Network
