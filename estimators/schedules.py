"""Temperatures that fall while training.

* E. Jang, S. Gu, B. Poole, Categorical Reparameterization with Gumbel-Softmax, ICLR 2017, arXiv:1611.01144.
"""

import torch
from torch import Tensor, nn


class ExponentialAnnealing(nn.Module):
    """A temperature that falls exponentially in the training step, a stair of `interval` steps at a time.

        temperature(t) = max(minimum, start * exp(-rate * t)),   t = the last multiple of `interval`

    Calling it reads the temperature; `update` alone moves the step. With rate 0 the temperature stays at `start`, and
    `minimum` and `interval` are not read.

    Args:
        start: temperature at step 0, above 0.
        rate: decay per step, 0 or more.
        minimum: where the fall ends, above 0 and at most `start`.
        interval: steps between two changes, 1 or more.

    Raises:
        ValueError: a value outside these ranges.
    """

    step: Tensor

    def __init__(self, start: float, rate: float = 0.0, minimum: float = 0.5, interval: int = 1000):
        super().__init__()
        if start <= 0:
            raise ValueError(f"A relaxation needs a temperature above 0; got temperature={start}.")
        if rate < 0:
            raise ValueError(f"Annealing lowers the temperature, so it needs rate >= 0; got rate={rate}.")
        if rate > 0 and not 0 < minimum <= start:
            raise ValueError(
                f"Annealing ends at a minimum above 0 and at most {start}, its start; got minimum={minimum}."
            )
        if interval < 1:
            raise ValueError(f"Annealing changes the temperature every interval >= 1 steps; got interval={interval}.")
        self.start, self.rate, self.minimum, self.interval = start, rate, minimum, interval
        self.register_buffer("step", torch.zeros((), dtype=torch.long))

    def forward(self) -> float | Tensor:
        """The temperature now: a number if constant, else a tensor `[]`."""
        if self.rate == 0:
            return self.start
        stair = self.step - self.step % self.interval
        return (self.start * torch.exp(-self.rate * stair)).clamp(min=self.minimum)

    def update(self) -> None:
        """Count one training step."""
        self.step.add_(1)
