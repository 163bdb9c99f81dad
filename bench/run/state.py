"""What a run is between two training steps: taken out as tensors, numbers and text, and put back to the bit."""

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
    """What one seed has of its own."""

    model: dict[str, Any]
    estimator: dict[str, dict[str, Any]]
    batches: BatchesState | None
    moving: MovingState | None
    rows: str  # JSON


class TrainingState(TypedDict):
    """What a training is between two steps: what `resume.pt` holds, beside the times."""

    step: int
    losses: Tensor
    optimisers: list[dict[str, Any]]
    seconds: float
    seeds: list[SeedState]
    endings: str  # JSON
    noise: list[Tensor]


class State:
    """Everything that the rest of a training depends on. `look` between two steps; what comes until the next step is
    repeated by the run that continues there.

    Args:
        training: of one seed or of several, also of those that have ended. The parameters of each seed are those that
            are trained, or views of them, so that what is put back into the one is put back into the other.
    """

    def __init__(self, training: Training):
        self.training = training
        self.look()

    def look(self) -> None:
        """Take note of what moves between the steps: the rows measured so far, and where the random streams stand."""
        measured = [by_table(experiment.rows) for experiment in self.training.experiments]
        self.rows = [{name: len(rows) for name, rows in tables.items()} for tables in measured]
        self.noise = self.training.noise_state()

    def take(self) -> TrainingState:
        """The state at the last look. Its tensors are those that the training goes on with."""
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
        """Make the training and its random streams what they were when `held` was taken.

        What does not fit raises, and leaves everything as it is.
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
        """What of the estimator's own Python state no file of tensors and numbers can hold, or None. Functions and
        classes are no state."""
        for name, child in self.training.trainer.estimator.named_modules():
            for attribute, value in vars(child).items():
                passive = inspect.isroutine(value) or isinstance(value, type | RemovableHandle)
                if attribute not in MACHINERY and not passive and not _plain(value):
                    return f"{'.'.join(filter(None, [name, attribute]))} is a {type(value).__name__}"
        return None


def of_seed(experiment: Experiment, rows: dict[str, int]) -> SeedState:
    """What a seed has of its own, of its rows the first so many: model, estimator, data order, averages, rows."""
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
    """Put back what `of_seed` took; tensors keep their place in memory."""
    trainer = experiment.trainer
    trainer.model.load_state_dict(held["model"])
    _hold(trainer.estimator, held["estimator"])
    if isinstance(trainer.batches, Batches):
        trainer.batches.load_state_dict(cast(BatchesState, held["batches"]))
    if experiment.moving and held["moving"]:
        experiment.moving.load_state_dict(held["moving"])
    experiment.rows.update(json.loads(held["rows"]))  # one of before there was a table has none of it


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
