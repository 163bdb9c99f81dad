"""The gradient's variance as papers have reported it: exponential moving averages along the training.

g is the gradient of a step's mean loss. For every parameter there are averages of g and of g^2 with decay 0.999, each
divided by 1 - 0.999^t because it starts at zero. The variance is the average of g^2 minus the squared average of g; its
mean over parameters is reported. Tucker et al. 2017 (REBAR, arXiv:1703.07370) report its log over all parameters. Dong,
Mnih & Tucker 2020 (DisARM, arXiv:2006.10680) and Shi et al. 2022 (RODEO, arXiv:2202.09497) report it for the encoder,
with g summed over the batch.

This variance includes the noise of the minibatch and the drift of the parameters. It is a mean over coordinates; the
table's `variance` is a trace. After few steps it is too small, by the sum of the squared weights.
"""

import math
from collections.abc import Iterable
from typing import TypedDict

import torch
from torch import Tensor, nn

from bench.model.adapted import block_of
from bench.tables.rows import GradientRow

DECAY = 0.999


class MovingState(TypedDict):
    """The averages, and the number of steps in them."""

    means: list[Tensor]
    squares: list[Tensor]
    steps: int


class MovingMoments:
    """Moving averages of the gradients that a training step leaves in `.grad`, which are only read.

    Args:
        model: its parameters under `encoder.`, or those that feed q of a module of anyone's own, are the encoder's; all
            others are the decoder's.
        batch_size: B, the factor from the gradient of a mean to that of a sum.
    """

    def __init__(self, model: nn.Module, batch_size: int):
        named = [(n, p) for n, p in model.named_parameters() if p.requires_grad]
        named.sort(key=lambda pair: not block_of(model, pair[0]).startswith("encoder."))
        self.encoder = sum(block_of(model, n).startswith("encoder.") for n, _ in named)  # how many come first
        self.parameters, self.batch_size, self.steps = [p for _, p in named], batch_size, 0
        self.means = [torch.zeros_like(p) for p in self.parameters]
        self.squares = [torch.zeros_like(p) for p in self.parameters]

    @torch.no_grad()
    def update(self) -> None:
        """Add the gradient of a step to the averages."""
        grads = [torch.zeros_like(p) if p.grad is None else p.grad for p in self.parameters]
        torch._foreach_lerp_(self.means, grads, 1 - DECAY)
        torch._foreach_mul_(self.squares, DECAY)
        torch._foreach_addcmul_(self.squares, grads, grads, 1 - DECAY)
        self.steps += 1

    def state_dict(self) -> MovingState:
        """The state from which `load_state_dict` continues."""
        return {"means": self.means, "squares": self.squares, "steps": self.steps}

    def load_state_dict(self, state: MovingState) -> None:
        """Continue the averages bit for bit."""
        for mean, held in zip([*self.means, *self.squares], [*state["means"], *state["squares"]], strict=True):
            mean.copy_(held)
        self.steps = state["steps"]

    def columns(self, part: str) -> GradientRow:
        """The columns `ema_*` for the part encoder or decoder; empty for other parts or before the first step."""
        if not self.steps or part not in ("encoder", "decoder"):
            return {}
        sums = [self._variances(m, s) for m, s in zip(self.means, self.squares, strict=True)]
        of_part = slice(0, self.encoder) if part == "encoder" else slice(self.encoder, None)
        variance = _mean(sums[of_part], self.parameters[of_part])
        return {
            "ema_variance": variance,
            "ema_variance_log": math.log(variance) if variance > 0 else math.nan,
            "ema_variance_sum": variance * self.batch_size**2,
            "ema_variance_all": _mean(sums, self.parameters),
        }

    def _variances(self, mean: Tensor, square: Tensor) -> Tensor:
        correction = 1 - DECAY**self.steps
        return (square.double() / correction - (mean.double() / correction) ** 2).sum()


def _mean(sums: Iterable[Tensor], parameters: list[nn.Parameter]) -> float:
    total = sum(float(s) for s in sums)
    return total / sum(p.numel() for p in parameters) if parameters else math.nan
