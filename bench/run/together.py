"""The training of several seeds at once."""

from contextlib import AbstractContextManager, nullcontext

from torch import Tensor

from bench.data.datasets import Data
from bench.errors import Impossible
from bench.model.adapted import Adapted
from bench.model.vae import VAE
from bench.run.clock import TrainingClock, WallClock
from bench.run.ending import Ending
from bench.run.experiment import Experiment
from bench.run.training import alive
from bench.settings import Config
from bench.train.engine import engine, prepare
from bench.train.replicas import Replicas


class Together:
    """The experiments of R seeds, trained at once: a `Training` of R seeds.

    Args:
        configs: of each seed, resolved and checked.

    Raises:
        Impossible: the parts of the configuration do not go together, or cannot be trained at once.
        ValueError: a part is missing, such as a data file.
    """

    def __init__(self, configs: list[Config]):
        self.config, self.wall = configs[0], WallClock()
        first = Experiment(self.config)
        if reason := first.impossible():
            raise Impossible(reason)
        if not (isinstance(first.data, Data) and isinstance(first.model, VAE | Adapted)):
            raise Impossible(
                f"replicas={len(configs)} trains models of images; a problem takes seed=0,1,... with --multirun."
            )
        shared = None if first.data.binarisation == "static" else first.data  # static images depend on the seed
        self.experiments = [first, *(Experiment(config, shared) for config in configs[1:])]
        self.device, self.example = first.device, first.example()
        self.clock = TrainingClock(self.device)
        for experiment in self.experiments:
            experiment.clock = self.clock
        seeds = [config["seeds"]["estimator"] for config in configs]
        self.trainer = Replicas([e.trainer for e in self.experiments], seeds, self.config["train"], self.example)
        self.engine = engine(self.trainer, first.executes)
        self.endings: dict[int, Ending] = {}

    @property
    def title(self) -> str:
        """The title of the progress bar."""
        return f"{len(self.experiments)} x {self.experiments[0].title}"

    def noise(self) -> AbstractContextManager[None]:
        """An empty context, since every seed draws from a generator of its own."""
        return nullcontext()

    def noise_state(self) -> list[Tensor]:
        """The positions of the random streams of all seeds."""
        return [stream.get_state() for stream in self.trainer.streams]

    def set_noise_state(self, held: list[Tensor]) -> None:
        """Set the positions of the random streams of all seeds."""
        for stream, state in zip(self.trainer.streams, held, strict=True):
            stream.set_state(state)

    def prepare(self) -> None:
        """Compile what the engine compiles, before the training's clock runs."""
        prepare(self.engine, self.example.expand(len(self.experiments), -1, -1))

    def train_step(self) -> None:
        """One step of all seeds, on the training's clock. Each seed's gradient enters its averages, if it has any."""
        with self.clock:
            self.engine.step()
        if self.experiments[0].moving:
            self.trainer.hand_out()
            for experiment in alive(self).values():
                assert experiment.moving is not None
                experiment.moving.update()

    def diverged(self) -> list[int | None]:
        """For each seed the first recent step whose loss was not finite, or None. Waits for the device."""
        return self.trainer.diverged()
