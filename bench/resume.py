"""What a run is at one step, on the disk: the same command continues there, and every later number is the same bit for
bit.

The file `resume.pt` holds tensors, numbers and text behind a digest of them, and reading it runs no code that it may
contain. It is for the run, the code and the PyTorch that wrote it; anything else is told in one line and not used.
"""

import copy
import hashlib
import inspect
import io
import json
import sys
import warnings
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

import bench
import estimators
from bench.attempt import RESUME
from bench.batches import Batches
from bench.config import identity
from bench.experiment import Experiment
from bench.tables import replace

FORMAT = "estimator-bench resume 1"
MACHINERY = vars(nn.Module()).keys()  # attributes that every module has


def state(experiment: Experiment, noise: dict[str, Tensor], rows: dict[str, int]) -> dict[str, Any]:
    """Everything that the rest of the run depends on.

    Args:
        experiment: between two steps of its training.
        noise: where the training's random streams stand.
        rows: how many of each table are measured for good.
    """
    trainer = experiment.trainer
    kept = {name: found[: rows[name]] for name, found in experiment.rows.items()}
    return {
        "noise": noise,
        "step": trainer.step_count,
        "losses": trainer.losses,
        "model": trainer.model.state_dict(),
        "estimator": _held(trainer.estimator),
        "optimisers": [optimiser.state_dict() for optimiser in trainer.optimisers],
        "batches": trainer.batches.state_dict() if isinstance(trainer.batches, Batches) else None,
        "moving": experiment.moving.state_dict() if experiment.moving else None,
        "seconds": experiment.seconds,
        "rows": json.dumps(kept, default=lambda scalar: scalar.item()),
    }


def restore(experiment: Experiment, held: dict[str, Any]) -> None:
    """Make the experiment, and the present random streams, what they were when `state` was taken.

    What does not fit raises, and leaves everything as it is.
    """
    rows = {name: len(found) for name, found in experiment.rows.items()}
    before = copy.deepcopy(state(experiment, noise(experiment.device), rows))
    try:
        _restore(experiment, held)
    except Exception:
        _restore(experiment, before)
        raise


def _restore(experiment: Experiment, held: dict[str, Any]) -> None:
    trainer, cuda = experiment.trainer, experiment.device.type == "cuda"
    trainer.losses.copy_(held["losses"])
    trainer.model.load_state_dict(held["model"])
    _hold(trainer.estimator, held["estimator"])
    for optimiser, own in zip(trainer.optimisers, held["optimisers"], strict=True):
        optimiser.load_state_dict(own)
    if isinstance(trainer.batches, Batches):
        trainer.batches.load_state_dict(held["batches"])
    if experiment.moving:
        experiment.moving.load_state_dict(held["moving"])
    trainer.step_count, experiment.seconds = held["step"], held["seconds"]
    experiment.rows = json.loads(held["rows"])
    torch.set_rng_state(held["noise"]["cpu"])
    if cuda:
        torch.cuda.set_rng_state(held["noise"]["cuda"], experiment.device)


def noise(device: torch.device) -> dict[str, Tensor]:
    """Where the present random streams stand."""
    cuda = {"cuda": torch.cuda.get_rng_state(device)} if device.type == "cuda" else {}
    return {"cpu": torch.get_rng_state()} | cuda


def obstacle(module: nn.Module) -> str | None:
    """What of this module's own Python state a file cannot hold, or None. Functions and classes are no state."""
    for name, child in module.named_modules():
        for attribute, value in vars(child).items():
            passive = inspect.isroutine(value) or isinstance(value, type | RemovableHandle)
            if attribute not in MACHINERY and not passive and not _plain(value):
                return f"{'.'.join(filter(None, [name, attribute]))} is a {type(value).__name__}"
    return None


def save(directory: Path, config: dict[str, Any], content: dict[str, Any]) -> None:
    """Write tensors, numbers and text, whole or not at all. Raises OSError where that is not possible."""
    buffer = io.BytesIO()
    torch.save(_made_with(config) | {"content": content}, buffer)
    payload = buffer.getvalue()
    directory.mkdir(parents=True, exist_ok=True)
    replace(directory / RESUME, hashlib.sha256(payload).digest() + payload)


def load(directory: Path, config: dict[str, Any]) -> dict[str, Any] | None:
    """What `save` wrote for the same run, code and PyTorch; else None, with a line on standard error if there is a
    file."""
    path = directory / RESUME
    try:
        stored = path.read_bytes()
        digest, payload = stored[:32], stored[32:]
        if hashlib.sha256(payload).digest() != digest:
            raise ValueError("it is damaged")
        with warnings.catch_warnings(action="ignore"):
            found = torch.load(io.BytesIO(payload), map_location="cpu", weights_only=True)
        for key, wanted in _made_with(config).items():
            if found.get(key) != wanted:
                raise ValueError(f"it is of another {key}: {found.get(key)}, where {wanted} is needed")
        return found["content"]
    except FileNotFoundError:
        return None
    except Exception as error:  # whatever the file system, the unpickler or the content objects to
        ignore(path, error)
        return None


def ignore(path: Path, error: Exception) -> None:
    """Tell that a file is not used."""
    reason = error if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"
    print(f"{path} is not used, since {' '.join(str(reason).split())}; the run starts anew.", file=sys.stderr)


def _made_with(config: dict[str, Any]) -> dict[str, str]:
    """What a continued run must have in common with its beginning. The identity has the versions of the numbers."""
    made_with = {"format": FORMAT, "run": identity(config), "torch": str(torch.__version__), "suite": bench.__version__}
    return made_with | {"code of the estimators": _sources(config["estimator"]["_target_"])}


@cache
def _sources(target: str) -> str:
    """12 hexadecimal digits of the code of all estimators and of this one, wherever it comes from."""
    from bench import plugins

    content = hashlib.sha256()
    files = sorted(Path(estimators.__file__).parent.rglob("*.py"))
    try:
        files.append(Path(inspect.getfile(plugins.target(target))))
    except (TypeError, OSError):  # typed into an interpreter
        content.update(target.encode())
    for file in files:
        content.update(file.read_bytes())
    return content.hexdigest()[:12]


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
