"""The parts of a run, put together from a resolved config, and what is done at its stops."""

import time
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from bench import data as datasets
from bench import problems
from bench.evaluate import evaluate
from bench.measure import measure, own_stream
from bench.model import VAE, Model
from bench.objective import Objective
from bench.plugins import build, estimator
from bench.problems import Known, NoData, Problem
from bench.schema import OWN
from bench.timing import costs
from bench.train import Trainer
from estimators import Gaussian, Latent


class Experiment:
    """Data, model, estimator and trainer of one run, and the rows it has measured so far.

    Every random stream has its own seed: weights, data, the estimator's noise in training, the noise of measurements.
    """

    def __init__(self, config: dict):
        self.config, seeds = config, config["seeds"]
        self.device, dtype = torch.device(config["device"]), getattr(torch, config["dtype"])
        self.data = self._data(dtype)
        self.probe = self.data.probe(config["measure"]["batches"], config["measure"]["batch_size"], seeds["data"])
        with own_stream(seeds["model"]):
            self.model = self._model().to(self.device, dtype)
            self.estimator = build(config["estimator"]).to(self.device, dtype)
            self.objective = Objective(self.model, self.estimator, **config["objective"])
            self.q = self.model.encode(self.probe[0])
            if self.impossible() is None:
                self.objective.estimate(self.q, self.probe[0])  # gives lazy layers of the estimator their size
        self.trainer = Trainer(self.objective, self._batches("training"), config["train"])
        self.reference = self._reference()
        self.rows: dict[str, list[dict]] = {"objective": [], "gradient": [], "cost": []}
        self.seconds = 0.0  # of training, without the stops

    def impossible(self) -> str | None:
        """One sentence saying why these parts do not go together, or None."""
        return self.objective.impossible(self.q)

    def _data(self, dtype: torch.dtype) -> datasets.Data | NoData:
        if (name := self.config["problem"]["name"]) != problems.VAE:
            return problems.data(name, self.device, dtype)
        seed = self.config["seeds"]["data"]
        return datasets.load(**self.config["data"], device=self.device, dtype=dtype, seed=seed)

    def _model(self) -> Model:
        if self.config["problem"]["name"] != problems.VAE:
            return problems.problem(**self.config["problem"])
        assert isinstance(self.data, datasets.Data)
        return VAE(self.config["latent"], self.config["model"], self.data.shape, self.data.mean.cpu())

    def _batches(self, purpose: str) -> Iterator[Tensor]:
        seed = self.config["seeds"]["data"] + (purpose != "training")
        return self.data.batches(self.config["train"]["batch_size"], seed)

    def _reference(self) -> Objective | None:
        """The same objective under an unbiased estimator; `auto` is exact where that is possible, and what a problem
        knows of itself is exact."""
        name = self.config["measure"]["reference"]
        if name == "none" or self.impossible():
            return None
        if name in ("auto", "exact") and isinstance(self.model, Problem) and self.model.gradient() is not None:
            return Objective(self.model, Known(self.model.gradient), **self.config["objective"])
        made = estimator(unbiased(self.q) if name == "auto" else name)
        return Objective(self.model, made.to(self.device, self.q.params.dtype), **self.config["objective"])

    def noise(self):
        """The random stream of the training."""
        return own_stream(self.config["seeds"]["estimator"])

    def train_step(self) -> None:
        """One step, on the training's clock."""
        start = time.perf_counter()
        self.trainer.step()
        self.seconds += time.perf_counter() - start

    def stops(self, step: int) -> bool:
        """Whether anything is evaluated or measured at this step."""
        return any(self._due(kind, step) for kind in ("evaluate", "measure"))

    def _due(self, kind: str, step: int) -> bool:
        steps = self.config["train"]["steps"]
        return step in {round(fraction * steps) for fraction in self.config[kind]["at"]}

    def stop(self, say: Callable[[str], None]) -> None:
        """Evaluate and measure what is due at this step. Neither disturbs the training."""
        step, seed = self.trainer.step_count, self.config["seed"]
        self._settle()
        if self._due("evaluate", step):
            say("evaluating")
            self.rows["objective"] += [
                {"seed": seed, "step": step, "seconds": self.seconds, "split": split, **self._evaluated(split)}
                for split in ("train", "test")
                if split in self.data.splits
            ]
        if self._due("measure", step):
            say("measuring")
            settings = self.config["measure"]
            measured = measure(
                self.objective,
                self.probe,
                settings["draws"],
                seed=self.config["seeds"]["measure"] + step,
                memory=settings["memory"],
                layers=settings["layers"],
                reference=self.reference,
                reference_draws=settings["reference_draws"],
            )
            exact = self.model.variances(self.estimator, len(self.probe[0])) if isinstance(self.model, Problem) else {}
            self.rows["gradient"] += [
                {"seed": seed, "step": step, "trained_with": OWN, **row, "estimator": self.config["option"]}
                | {"variance_exact": exact.get(row["part"])}
                for row in measured
            ]

    def _evaluated(self, split: str) -> dict:
        settings = self.config["evaluate"]
        x = self.data.fixed(split, settings["examples"], self.config["seeds"]["data"])
        seed = self.config["seeds"]["measure"]
        return evaluate(self.model, x, settings["samples"], settings["prior_samples"], seed)

    def time(self) -> None:
        """Time a step and a gradient, on a copy."""
        settings = self.config["timing"]
        if settings["repetitions"]:
            seed = self.config["seeds"]["measure"]
            self.rows["cost"] += costs(self.trainer, self._batches("timing"), seed=seed, **settings)

    def _settle(self) -> None:
        """Let the device finish, on the training's clock."""
        if self.device.type == "cuda":
            start = time.perf_counter()
            torch.cuda.synchronize(self.device)
            self.seconds += time.perf_counter() - start


def unbiased(q: Latent) -> str:
    """The estimator to compare with: exact where there are few enough points, else one that samples."""
    if estimator("exact").refuses(q) is None:
        return "exact"
    return "reparam" if isinstance(q, Gaussian) else "rloo"
