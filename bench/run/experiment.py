"""The parts of a run, put together from a resolved config, and what is done at its stops."""

import sys
import time
from collections.abc import Callable, Iterator
from itertools import repeat

import torch
from torch import Tensor

from bench import problems
from bench.config.plugins import build
from bench.data import datasets
from bench.data.batches import Batches
from bench.errors import Impossible
from bench.measure.clock import Rounds
from bench.measure.cost import costs
from bench.measure.evaluate import evaluate
from bench.measure.gradient.reference import Reference
from bench.measure.gradient.rows import measure
from bench.measure.moving import MovingMoments
from bench.measure.reference import reference_of
from bench.model.objective import Objective
from bench.model.vae import VAE, Model
from bench.problems import NoData, Problem
from bench.streams import own_stream
from bench.tables.schema import OWN
from bench.train.capture import obstacle
from bench.train.engine import Engine, engine, prepare
from bench.train.trainer import Trainer


class Experiment:
    """Data, model, estimator and trainer of one run, and the rows it has measured so far.

    Every random stream has its own seed: weights, data, the estimator's noise in training, the noise of measurements.

    Args:
        config: of the run, resolved and checked.
        data: of an experiment with the same data, where there was one; else they are read.

    Raises:
        Impossible: the reference cannot be had for this model.
        ValueError: a part asks for what there is not, or the estimator breaks its interface.
    """

    def __init__(self, config: dict, data: datasets.Data | NoData | None = None):
        self.config, seeds = config, config["seeds"]
        self.device, dtype = torch.device(config["device"]), getattr(torch, config["dtype"])
        self.data = data or self._data(dtype)
        self.probe = self.data.probe(config["measure"]["batches"], config["measure"]["batch_size"], seeds["data"])
        with own_stream(seeds["model"]):
            self.model = self._model().to(self.device, dtype)
            self.estimator = build(config["estimator"]).to(self.device, dtype)
            self.objective = Objective(self.model, self.estimator, **config["objective"])
            with torch.no_grad():  # a graph kept alive would tie the parameters' gradients to this stream
                self.q = self.model.encode(self.probe[0])
            if self.impossible() is None:
                self._try_estimator()
        self.trainer = Trainer(self.objective, self.batches("training"), config["train"])
        self.engine = self._engine()
        papers = config["measure"]["papers"]
        self.moving = MovingMoments(self.model, config["train"]["batch_size"]) if papers else None
        self.reference = None if self.impossible() else reference_of(self.objective, self.q, config)
        self.rows: dict[str, list[dict]] = {"objective": [], "gradient": [], "cost": []}
        self.seconds = 0.0  # of training, without the stops
        self.compiling: float | None = None  # seconds
        self.ready = False  # whether the engine is, for the training's clock

    def impossible(self) -> str | None:
        """One sentence saying why these parts do not go together, or None."""
        return self.objective.impossible(self.q)

    def _data(self, dtype: torch.dtype) -> datasets.Data | NoData:
        if (name := self.config["problem"]["name"]) != problems.VAE:
            return problems.data(name, self.device, dtype)
        return datasets.load(**self.config["data"], device=self.device, dtype=dtype, seed=self.config["seeds"]["data"])

    def _model(self) -> Model:
        if self.config["problem"]["name"] != problems.VAE:
            return problems.problem(**self.config["problem"])
        assert isinstance(self.data, datasets.Data)
        return VAE(self.config["latent"], self.config["model"], self.data.shape, self.data.mean.cpu())

    def _try_estimator(self) -> None:
        """One estimate: it gives lazy layers their size, and shows whether the shapes are those of the interface."""
        q, wanted = self.model.encode(self.probe[0]), tuple(self.q.batch_shape)
        estimate = self.objective.estimate(q, self.probe[0])
        for name, value in estimate._asdict().items():
            if value is not None and value.shape != wanted:
                raise ValueError(
                    f"{self.config['option']} returned a {name} of shape {list(value.shape)}; the interface asks for "
                    f"one value per example, {list(wanted)}."
                )

    def _engine(self) -> Engine:
        name = self.config["engine"]
        if name == "graph" and self.impossible() is None and (reason := obstacle(self.trainer, self.example())):
            raise Impossible(f"engine=graph cannot record {reason}; engine=eager and engine=compile run.")
        return engine(self.trainer, name)

    def example(self) -> Tensor:
        """`[B, X]`, of the shape of a training batch; the training's stream stays where it is."""
        return next(self.batches("timing"))

    def batches(self, purpose: str) -> Iterator[Tensor]:
        """Those of the training, or others with a stream of their own."""
        seed = self.config["seeds"]["data"] + (purpose != "training")
        if isinstance(self.data, NoData):
            return repeat(self.data.probe(1, self.config["train"]["batch_size"], seed)[0])
        return Batches(self.data, self.config["train"]["batch_size"], seed)

    def noise(self):
        """The random stream of the training."""
        return own_stream(self.config["seeds"]["estimator"])

    def train_step(self) -> None:
        """One step, on the training's clock."""
        if not self.ready:
            self.compiling, self.ready = prepare(self.engine, self.example()), True
        start = time.perf_counter()
        self.engine.step()
        self.seconds += time.perf_counter() - start
        if self.moving:
            self.moving.update()

    def stops(self, step: int) -> bool:
        """Whether anything is evaluated or measured at this step."""
        return any(self._due(kind, step) for kind in ("evaluate", "measure"))

    def _due(self, kind: str, step: int) -> bool:
        steps = self.config["train"]["steps"]
        return step in {round(fraction * steps) for fraction in self.config[kind]["at"]}

    def stop(self, say: Callable[[str], None]) -> None:
        """Evaluate and measure what is due at this step. Neither disturbs the training."""
        step, seed = self.trainer.step_count, self.config["seed"]
        self.settle()
        if self._due("evaluate", step):
            say("evaluating")
            self.rows["objective"] += [
                {"seed": seed, "step": step, "seconds": self.seconds, "split": split, **self._evaluated(split)}
                for split in ("train", "test")
                if split in self.data.splits
            ]
        if self._due("measure", step):
            say("measuring")
            self.measure(OWN, step, self.config["seeds"]["measure"] + step, self.reference)

    def measure(self, trained_with: str, step: int, seed: int, reference: Objective | Reference | None) -> None:
        """Add rows of table `gradient` at the model's present parameters; `seed` is that of the draws."""
        settings = self.config["measure"]
        measured = measure(
            self.objective,
            self.probe,
            settings["draws"],
            seed=seed,
            memory=settings["memory"],
            layers=settings["layers"],
            reference=reference,
            reference_draws=settings["reference_draws"],
            precision=settings["precision"],
            max_draws=settings["max_draws"],
        )
        about = {"seed": self.config["seed"], "step": step, "trained_with": trained_with}
        exact = self.model.variances(self.estimator, len(self.probe[0])) if isinstance(self.model, Problem) else {}
        for row in measured:
            row |= about | {"estimator": self.config["option"], "variance_exact": exact.get(row["part"])}
            row |= self.moving.columns(row["part"]) if self.moving else {}
            if row["note"]:
                print(f"Step {step}: {row['note']}", file=sys.stderr)
        self.rows["gradient"] += measured

    def _evaluated(self, split: str) -> dict:
        settings = self.config["evaluate"]
        x = self.data.fixed(split, settings["examples"], self.config["seeds"]["data"])
        seed = self.config["seeds"]["measure"]
        return evaluate(self.model, x, settings["samples"], settings["prior_samples"], seed)

    def time(self) -> None:
        """Time a step and a gradient, on a copy."""
        if self.config["timing"]["repetitions"]:
            about = {
                "seed": self.config["seeds"]["measure"],
                "name": self.config["engine"],
                "compiling": self.compiling,
            }
            timed = costs(self.trainer, self.batches("timing"), rounds=self.rounds(), **about)
            self.rows["cost"] += [{"estimator": self.config["option"], **row} for row in timed]

    def rounds(self) -> Rounds:
        """How long is timed."""
        settings = self.config["timing"]
        most, block, error = settings["repetitions"], settings["block"], settings["error"]
        return Rounds(most=most, warmup=settings["warmup"], block=block, error=error)

    def settle(self) -> None:
        """Let the device finish, on the training's clock."""
        if self.device.type == "cuda":
            start = time.perf_counter()
            torch.cuda.synchronize(self.device)
            self.seconds += time.perf_counter() - start
