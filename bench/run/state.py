"""What a run is between two training steps: taken out as tensors, numbers and text, and put back to the bit."""

import copy
import inspect
import json
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from bench.data.batches import Batches
from bench.train.snapshot import MACHINERY

if TYPE_CHECKING:
    from bench.run.experiment import Experiment


class State:
    """Everything that the rest of a run depends on. `look` between two steps; what comes until the next step is
    repeated by the run that continues there.

    Args:
        experiment: an `Experiment`, or what a subclass takes the state of.
    """

    def __init__(self, experiment: Any):
        self.experiment, self.device = experiment, experiment.device
        self.look()

    def look(self) -> None:
        """Take note of what moves between the steps: the rows measured so far, and where the random streams stand."""
        self.rows: Any = counted(self.experiment)
        self.noise: Any = noise(self.device)

    def take(self) -> dict[str, Any]:
        """The state at the last look. Its tensors are those that the training goes on with."""
        return of_training(self.experiment) | of_seed(self.experiment, self.rows) | {"noise": self.noise}

    def put(self, held: dict[str, Any]) -> None:
        """Make the experiment, and the present random streams, what they were when `held` was taken.

        What does not fit raises, and leaves everything as it is.
        """
        self.look()
        before = copy.deepcopy(self.take())
        try:
            self._put(held)
        except Exception:
            self._put(before)
            raise

    def _put(self, held: dict[str, Any]) -> None:
        put_training(self.experiment, held)
        put_seed(self.experiment, held)
        torch.set_rng_state(held["noise"]["cpu"])
        if self.device.type == "cuda":
            torch.cuda.set_rng_state(held["noise"]["cuda"], self.device)

    def obstacle(self) -> str | None:
        """What of the estimator's own Python state no file of tensors and numbers can hold, or None. Functions and
        classes are no state."""
        for name, child in self.experiment.trainer.estimator.named_modules():
            for attribute, value in vars(child).items():
                passive = inspect.isroutine(value) or isinstance(value, type | RemovableHandle)
                if attribute not in MACHINERY and not passive and not _plain(value):
                    return f"{'.'.join(filter(None, [name, attribute]))} is a {type(value).__name__}"
        return None


def noise(device: torch.device) -> dict[str, Tensor]:
    """Where the present random streams stand."""
    cuda = {"cuda": torch.cuda.get_rng_state(device)} if device.type == "cuda" else {}
    return {"cpu": torch.get_rng_state()} | cuda


def counted(experiment: "Experiment") -> dict[str, int]:
    """How many rows of each table there are."""
    return {name: len(rows) for name, rows in experiment.rows.items()}


def of_training(trained: Any) -> dict[str, Any]:
    """What the loop over the steps moves, of an experiment or of several trained as one: counters and optimisers."""
    trainer = trained.trainer
    optimisers = [optimiser.state_dict() for optimiser in trainer.optimisers]
    return {"step": trainer.step_count, "losses": trainer.losses, "optimisers": optimisers, "seconds": trained.seconds}


def put_training(trained: Any, held: dict[str, Any]) -> None:
    """Put back what `of_training` took."""
    trainer = trained.trainer
    trainer.losses.copy_(held["losses"])
    for optimiser, own in zip(trainer.optimisers, held["optimisers"], strict=True):
        optimiser.load_state_dict(own)
    trainer.step_count, trained.seconds = held["step"], held["seconds"]


def of_seed(experiment: "Experiment", rows: dict[str, int]) -> dict[str, Any]:
    """What a seed has of its own, of its rows the first so many: model, estimator, data order, averages, rows."""
    trainer = experiment.trainer
    kept = {name: found[: rows[name]] for name, found in experiment.rows.items()}
    return {
        "model": trainer.model.state_dict(),
        "estimator": _held(trainer.estimator),
        "batches": trainer.batches.state_dict() if isinstance(trainer.batches, Batches) else None,
        "moving": experiment.moving.state_dict() if experiment.moving else None,
        "rows": json.dumps(kept, default=lambda scalar: scalar.item()),
    }


def put_seed(experiment: "Experiment", held: dict[str, Any]) -> None:
    """Put back what `of_seed` took; tensors keep their place in memory."""
    trainer = experiment.trainer
    trainer.model.load_state_dict(held["model"])
    _hold(trainer.estimator, held["estimator"])
    if isinstance(trainer.batches, Batches):
        trainer.batches.load_state_dict(held["batches"])
    if experiment.moving:
        experiment.moving.load_state_dict(held["moving"])
    experiment.rows = json.loads(held["rows"])


def _held(module: nn.Module) -> dict[str, dict[str, Any]]:
    """Parameters, buffers (also those that a state_dict leaves out) and plain attributes of each submodule."""
    return {
        name: {key: value.detach() if isinstance(value, Tensor) else value for key, value in _own(child).items()}
        for name, child in module.named_modules()
    }


def _own(module: nn.Module) -> dict[str, Any]:
    plain = {key: value for key, value in vars(module).items() if key not in MACHINERY and _plain(value)}
    return {**module._parameters, **module._buffers, **plain}


def _hold(module: nn.Module, held: dict[str, dict[str, Any]]) -> None:
    for name, child in module.named_modules():
        present, wanted = _own(child), held[name]
        if present.keys() != wanted.keys():
            raise ValueError(f"the state of the estimator has {sorted(wanted)}, where {sorted(present)} is needed")
        for key, value in wanted.items():
            old = present[key]
            if isinstance(old, Tensor) and isinstance(value, Tensor) and old.shape == value.shape:
                old.data.copy_(value)  # in place: optimisers and captured graphs know this tensor
            elif isinstance(value, Tensor):
                setattr(child, key, value.to(old.device if isinstance(old, Tensor) else "cpu"))
            else:
                setattr(child, key, value)


def _plain(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return all(map(_plain, value))
    if isinstance(value, dict):
        return all(isinstance(key, str | int) and _plain(item) for key, item in value.items())
    return value is None or isinstance(value, bool | int | float | str | Tensor)


class StateOfAll(State):
    """The state of every seed, also of those that have ended, and what they have in common.

    Args:
        experiment: a `bench.replicas.run.Together`. The parameters of each seed are views of those that are trained, so
            that what is put back into the one is put back into the other.
    """

    def look(self) -> None:
        self.rows = [counted(one) for one in self.experiment.experiments]
        self.noise = [stream.get_state() for stream in self.experiment.trainer.streams]

    def take(self) -> dict[str, Any]:
        each = [of_seed(one, rows) for one, rows in zip(self.experiment.experiments, self.rows, strict=True)]
        ends = json.dumps(self.experiment.ends)
        return of_training(self.experiment) | {"each": each, "ends": ends, "noise": self.noise}

    def _put(self, held: dict[str, Any]) -> None:
        put_training(self.experiment, held)
        for one, its in zip(self.experiment.experiments, held["each"], strict=True):
            put_seed(one, its)
        for stream, place in zip(self.experiment.trainer.streams, held["noise"], strict=True):
            stream.set_state(place)
        self.experiment.ends = {int(number): tuple(end) for number, end in json.loads(held["ends"]).items()}
