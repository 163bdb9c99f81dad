"""The state of a run between two training steps, as tensors, numbers and text, and its exact restoration."""

import copy
import inspect
import json
from typing import Any, TypedDict, cast

from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from bench.data.batches import Batches, BatchesState
from bench.measure.moving import MovingState
from bench.run.ending import Ending
from bench.run.experiment import Experiment
from bench.run.training import Training
from bench.tables.rows import by_table
from bench.train.snapshot import MACHINERY


class SeedState(TypedDict):
    """The state of one seed."""

    model: dict[str, Any]
    estimator: dict[str, dict[str, Any]]
    batches: BatchesState | None
    moving: MovingState | None
    rows: str  # JSON


class TrainingState(TypedDict):
    """The state of a training between two steps: the content of `resume.pt` without the times."""

    step: int
    losses: Tensor
    optimisers: list[dict[str, Any]]
    seconds: float
    seeds: list[SeedState]
    endings: str  # JSON
    noise: list[Tensor]


class State:
    """Everything that the rest of a training depends on.

    Call `look` between two steps. A run that continues repeats what came between that look and the next step.

    Args:
        training: of one seed or several, those that have ended included. The parameters of each seed are the trained
            tensors or views of them, so that restoring one restores the other.
    """

    def __init__(self, training: Training):
        self.training = training
        self.look()

    def look(self) -> None:
        """Record what changes between two steps too: the number of rows, and the positions of the random streams."""
        measured = [by_table(experiment.rows) for experiment in self.training.experiments]
        self.rows = [{name: len(rows) for name, rows in tables.items()} for tables in measured]
        self.noise = self.training.noise_state()

    def take(self) -> TrainingState:
        """The state at the last look. Its tensors are the training's own, not copies."""
        trainer, experiments = self.training.trainer, self.training.experiments
        return {
            "step": trainer.step_count,
            "losses": trainer.losses,
            "optimisers": [optimiser.state_dict() for optimiser in trainer.optimisers],
            "seconds": self.training.clock.seconds,
            "seeds": [of_seed(experiment, rows) for experiment, rows in zip(experiments, self.rows, strict=True)],
            "endings": json.dumps(self.training.endings),
            "noise": self.noise,
        }

    def put(self, held: TrainingState) -> None:
        """Restore the training and its random streams to the state `held`.

        A state that does not fit raises an error, and nothing changes.
        """
        self.look()
        before = copy.deepcopy(self.take())
        try:
            self._put(held)
        except Exception:
            self._put(before)
            raise

    def _put(self, held: TrainingState) -> None:
        training, trainer = self.training, self.training.trainer
        trainer.losses.copy_(held["losses"])
        for optimiser, its_state in zip(trainer.optimisers, held["optimisers"], strict=True):
            optimiser.load_state_dict(its_state)
        trainer.step_count, training.clock.seconds = held["step"], held["seconds"]
        for experiment, its_seed in zip(training.experiments, held["seeds"], strict=True):
            put_seed(experiment, its_seed)
        training.endings = {int(number): Ending(*ending) for number, ending in json.loads(held["endings"]).items()}
        training.set_noise_state(held["noise"])

    def obstacle(self) -> str | None:
        """The attribute of the estimator that a file of tensors, numbers and text cannot hold, as text; or None.
        Functions and classes do not count as state."""
        for name, child in self.training.trainer.estimator.named_modules():
            for attribute, value in vars(child).items():
                passive = inspect.isroutine(value) or isinstance(value, type | RemovableHandle)
                if attribute not in MACHINERY and not passive and not _plain(value):
                    return f"{'.'.join(filter(None, [name, attribute]))} is a {type(value).__name__}"
        return None


def of_seed(experiment: Experiment, rows: dict[str, int]) -> SeedState:
    """The state of one seed: model, estimator, data order, averages, and the first `rows[name]` rows of each table."""
    trainer = experiment.trainer
    kept = {name: found[: rows[name]] for name, found in by_table(experiment.rows).items()}
    return {
        "model": trainer.model.state_dict(),
        "estimator": _held(trainer.estimator),
        "batches": trainer.batches.state_dict() if isinstance(trainer.batches, Batches) else None,
        "moving": experiment.moving.state_dict() if experiment.moving else None,
        "rows": json.dumps(kept, default=lambda scalar: scalar.item()),
    }


def put_seed(experiment: Experiment, held: SeedState) -> None:
    """Restore the state that `of_seed` took. Tensors keep their memory."""
    trainer = experiment.trainer
    trainer.model.load_state_dict(held["model"])
    _hold(trainer.estimator, held["estimator"])
    if isinstance(trainer.batches, Batches):
        trainer.batches.load_state_dict(cast(BatchesState, held["batches"]))
    if experiment.moving and held["moving"]:
        experiment.moving.load_state_dict(held["moving"])
    experiment.rows.update(json.loads(held["rows"]))  # an older state lacks tables that are new


def _held(module: nn.Module) -> dict[str, dict[str, Any]]:
    """Parameters, buffers (also non-persistent ones) and plain attributes of each submodule."""
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
                old.data.copy_(value)  # in place, since optimisers and captured graphs hold this tensor
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
