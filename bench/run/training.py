"""The interface of a training that the loop over the steps uses: one seed, or several at once."""

from contextlib import AbstractContextManager
from typing import Protocol

import torch
from torch import Tensor

from bench.run.clock import TrainingClock, WallClock
from bench.run.ending import Ending
from bench.run.experiment import Experiment
from bench.settings import Config
from bench.train.trainer import Trainer


class Training(Protocol):
    """An `Experiment`, which trains one seed, or `Together`, which trains R.

    Attributes:
        config: of the first seed; the others differ from it in `seed` and `seeds` alone.
        device: of all tensors.
        wall: the time since the training was built.
        clock: the time of the steps, shared by all experiments.
        endings: the endings of the seeds that have ended, by their numbers.
    """

    config: Config
    device: torch.device
    wall: WallClock
    clock: TrainingClock
    endings: dict[int, Ending]

    @property
    def trainer(self) -> Trainer:
        """Counts the steps, and has the optimisers and the losses."""

    @property
    def experiments(self) -> list[Experiment]:
        """One for each seed: its model, its estimator and its rows."""

    @property
    def title(self) -> str:
        """The title of the progress bar."""

    def noise(self) -> AbstractContextManager[None]:
        """A context in which the training's noise is drawn from its own streams."""

    def noise_state(self) -> list[Tensor]:
        """The positions of these streams."""

    def set_noise_state(self, held: list[Tensor]) -> None:
        """Set the positions of these streams."""

    def prepare(self) -> None:
        """Compile what the engine compiles."""

    def train_step(self) -> None:
        """One step of all seeds, on the training's clock."""

    def diverged(self) -> list[int | None]:
        """For each seed the first recent step whose loss was not finite, or None. Waits for the device."""


def alive(training: Training) -> dict[int, Experiment]:
    """The seeds that have not ended, by their numbers."""
    return {number: e for number, e in enumerate(training.experiments) if number not in training.endings}
