"""The parts of one seed's run, built from a resolved configuration."""

import copy
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager
from itertools import repeat
from typing import Any

import torch
from torch import Tensor

from bench.config import parts
from bench.config.plugins import build
from bench.data import datasets
from bench.data.batches import Batches
from bench.errors import BadInput, Impossible
from bench.interface import misreturned, undetached
from bench.measure.clock import Rounds
from bench.measure.look import adapted
from bench.measure.moving import MovingMoments
from bench.measure.reference import reference_of
from bench.model.adapted import Adapted
from bench.model.factory import objective, vae
from bench.model.levels import LEVELS
from bench.model.posterior import Posterior, unlike
from bench.model.vae import VAE
from bench.problems import NoData
from bench.run.clock import TrainingClock, WallClock
from bench.run.ending import Ending
from bench.settings import Config
from bench.streams import TRAINING, own_stream
from bench.tables.rows import Rows
from bench.train.capture import obstacle
from bench.train.engine import GRAPHS, Engine, engine, prepare
from bench.train.trainer import Trainer
from estimators import Estimator


class Experiment:
    """Data, model, estimator and trainer of one seed, and the rows measured so far: a `Training` of one seed.

    Weights, data, the estimator's noise in training and the noise of measurements have a random seed each.

    Args:
        config: of the run, resolved and checked.
        data: those of another experiment with the same data, if there is one; else they are read.

    Raises:
        Impossible: the reference cannot be computed for this model.
        ValueError: a part is missing, such as a data file, or the estimator breaks its interface.
    """

    def __init__(self, config: Config, data: datasets.Data | NoData | None = None):
        self.config, seeds, self.wall = config, config["seeds"], WallClock()
        self.device, dtype = torch.device(config["device"]), getattr(torch, config["dtype"])
        self.clock = TrainingClock(self.device)
        problem = parts.problem(config)
        self.data = data or (problem.data(self.device, dtype) if problem else self._images(dtype))
        self.probe = self.data.probe(config["measure"]["batches"], config["measure"]["batch_size"], seeds["data"])
        with own_stream(seeds["model"], "weights"):
            self.model = (problem or self._network()).to(self.device, dtype)
            made = build(config["estimator"]).to(self.device, dtype)
            self.objective = objective(self.model, made, **config["objective"])
            self.estimator = self.objective.estimator
            with torch.no_grad():  # a graph kept alive would tie the parameters' gradients to this stream
                self.q = self.model.encode(self.probe[0])
            if self.impossible() is None:
                self._try_estimator()
        self.trainer = Trainer(self.objective, self.batches("training"), config["train"])
        self.executes = config["engine"]  # changed below if a graph falls back to eager
        self.engine = self._engine()
        averaged = config["measure"]["papers"]
        self.moving = MovingMoments(self.model, config["train"]["batch_size"]) if averaged else None
        self.reference = None if self.impossible() else reference_of(self.objective, self.q, config)
        self.rows: Rows = {"objective": [], "gradient": [], "cost": [], "choices": []}
        self.compiling: float | None = None  # seconds
        self.endings: dict[int, Ending] = {}

    @property
    def experiments(self) -> "list[Experiment]":
        """This experiment alone, in a list."""
        return [self]

    @property
    def title(self) -> str:
        """The title of the progress bar."""
        return f"{self.config['option']} on {parts.family(self.config)}"

    def impossible(self) -> str | None:
        """One sentence saying why these parts do not go together, or None."""
        return self.objective.impossible(self.q)

    def _images(self, dtype: torch.dtype) -> datasets.Data:
        seed = self.config["seeds"]["data"]
        return parts.images(self.config["data"], device=self.device, dtype=dtype, seed=seed)

    def _network(self) -> VAE | Adapted:
        assert isinstance(self.data, datasets.Data)
        if "_target_" in self.config["model"]:
            return self._brought(self.data)
        return self._vae(self.data)

    def _brought(self, data: datasets.Data) -> Adapted:
        """A model of a class, after the checks of `bench.measure`; it takes images `[B, C, H, W]`."""
        latent: Any = self.config["latent"]
        about = {"shape": data.shape, "mean": data.mean.cpu().reshape(data.shape), "latent": Posterior(latent)}
        module = parts.build("model", self.config["model"], **about).to(self.probe)
        made = adapted(module, self.probe[0].unflatten(-1, data.shape), self.config["seeds"]["model"])
        made.shape = data.shape
        if said := unlike(made.encode(self.probe[0]), latent):
            raise Impossible(said)
        return made

    def _vae(self, data: datasets.Data) -> VAE:
        levels = data.levels
        if self.config["model"]["likelihood"] == "categorical256" and levels != LEVELS:
            held = "real numbers" if levels is None else f"{levels + 1} levels"
            raise Impossible(
                f"model.likelihood=categorical256 is of 256 levels, and {data.name} has {held}: set "
                "model.likelihood=gaussian or bernoulli."
            )
        return vae(self.config["latent"], self.config["model"], data.shape, data.mean.cpu())

    def _try_estimator(self) -> None:
        """Compute one estimate, and one update of a copy: this materialises lazy layers, and checks the interface."""
        q, x = self.model.encode(self.probe[0]), self.probe[0]
        estimate = self.objective.draw(q, x)
        said = misreturned(estimate, self.q.batch_shape)
        if said is None and type(self.estimator).update is not Estimator.update:
            twin = copy.deepcopy(self.estimator)
            twin.update(estimate)
            said = undetached(twin)
        if said:
            option = self.config["option"]
            raise BadInput(f"{option} breaks the interface: {said}; python -m bench.check {option} looks further.")

    def _engine(self) -> Engine:
        name, possible = self.config["engine"], self.impossible() is None
        if name in GRAPHS and possible and (reason := obstacle(self.trainer, self.example())):
            if self.config["engine_fallback"] == "none":
                raise Impossible(f"engine={name} cannot record {reason}; engine=eager and engine=compile run.")
            print(f"engine={name} cannot record {reason}; it trains by engine=eager.", file=sys.stderr)
            self.executes = "eager"
        return engine(self.trainer, self.executes)

    def example(self) -> Tensor:
        """A batch `[B, X]` of the training's shape. The training's random stream does not move."""
        return next(self.batches("timing"))

    def batches(self, purpose: str) -> Iterator[Tensor]:
        """Endless batches `[B, X]`. Those of the purpose `training` have a random stream of their own."""
        seed = self.config["seeds"]["data"]
        if isinstance(self.data, NoData):
            return repeat(self.data.probe(1, self.config["train"]["batch_size"], seed)[0])
        return Batches(self.data, self.config["train"]["batch_size"], seed, purpose)

    def noise(self) -> AbstractContextManager[None]:
        """A context in which PyTorch's random stream is the training's."""
        return own_stream(self.config["seeds"]["estimator"], TRAINING)

    def noise_state(self) -> list[Tensor]:
        """The position of that stream; called inside `noise`."""
        on_gpu = [torch.cuda.get_rng_state(self.device)] if self.device.type == "cuda" else []
        return [torch.get_rng_state(), *on_gpu]

    def set_noise_state(self, held: list[Tensor]) -> None:
        """Set the position of that stream."""
        on_cpu, *on_gpu = held
        torch.set_rng_state(on_cpu)
        for state in on_gpu:
            torch.cuda.set_rng_state(state, self.device)

    def prepare(self) -> None:
        """Compile what the engine compiles, before the training's clock runs."""
        self.compiling = prepare(self.engine, self.example())

    def train_step(self) -> None:
        """One step, on the training's clock."""
        with self.clock:
            self.engine.step()
        if self.moving:
            self.moving.update()

    def rounds(self) -> Rounds:
        """The limits of a timing, from the group `timing`."""
        settings = self.config["timing"]
        most, block, error = settings["repetitions"], settings["block"], settings["error"]
        return Rounds(most=most, warmup=settings["warmup"], block=block, error=error)

    def diverged(self) -> list[int | None]:
        """The first recent step whose loss was not finite, or None, in a list. Waits for the device."""
        return [self.trainer.diverged()]
