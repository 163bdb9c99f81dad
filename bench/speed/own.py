"""`bench.measure` of anyone's own module against `take` on the suite's model with the same weights.

The work of the draws is the same. What `bench.measure` adds does not grow with them: it looks at the module, counts
the cost's evaluations, and makes statistics with standard errors of the sums, which `take` leaves to its caller.
"""

from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from bench.measure.clock import Rounds
from bench.measure.gradient.draws import take
from bench.measure.timing import compare
from bench.model.vae import VAE
from bench.own.measure import measure
from bench.speed.problems import Option, problem
from bench.speed.rows import Rows, about
from bench.streams import own_stream
from estimators import Latent


class Theirs(nn.Module):
    """The suite's VAE as another module, which takes images `[B, 1, 28, 28]` and points `[K, B, *]`."""

    def __init__(self, vae: VAE):
        super().__init__()
        self.networks = vae
        if vae.codebook is not None:
            self.fixed = vae.codebook.loss

    def encode(self, x: Tensor) -> Latent:
        """q of images."""
        return self.networks.encode(x.flatten(1))

    def log_likelihood(self, x: Tensor, z: Tensor) -> Tensor:
        """log p(x|z) `[K, B]`."""
        return self.networks.log_likelihood(x.flatten(1), z)


def own_rows(device: torch.device, options: Iterable[Option], counts: list[int], rounds: Rounds) -> Iterator[Rows]:
    """Each option's whole gradient, in turn with `take`, which is the reference; ours is `bench.measure`."""
    for option in options:
        for draws in counts:
            yield Rows(
                [about("bench.measure, own module", option, draws)], partial(_compared, device, option, draws, rounds)
            )


def _compared(device: torch.device, option: Option, draws: int, rounds: Rounds) -> list[dict[str, Any]]:
    objective, x = problem(device, option)
    assert isinstance(objective.model, VAE)
    model, batches = Theirs(objective.model), x.unflatten(-1, (1, 28, 28))[None]
    ours = partial(
        measure, model, batches, {option.name: objective.estimator}, reference="none", tuning_steps=0, repetitions=0
    )
    with own_stream(1, "speed"):
        return [compare(partial(ours, draws=draws), partial(take, objective, x, draws), device, rounds)]
