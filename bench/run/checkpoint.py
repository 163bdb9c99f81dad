"""Checkpoints of a model: its parameters and buffers, its step, and the configuration that trained it.

A file holds tensors, numbers and text, without the optimisers. Reading it runs no code that it may contain.
"""

import hashlib
import json
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor

from bench import foreign
from bench.config.identity import flatten, places
from bench.config.written import as_written
from bench.errors import BadInput
from bench.files import replace
from bench.model.vae import Model
from bench.run.sealed import opened, sealed
from bench.settings import Config
from bench.settings.later import LATER, as_before

FORMAT = "estimator-bench model 2"
TRAJECTORY = ("estimator", "train", "objective", "problem", "data", "seeds")  # the groups that decide what was trained


class Checkpoint(NamedTuple):
    """A model at one step of its training."""

    path: Path
    step: int
    config: dict[str, Any]  # of the run that trained it
    model: dict[str, Tensor]

    @property
    def digest(self) -> str:
        """12 hexadecimal digits that depend on the name, the shape and every value of each tensor."""
        content = hashlib.sha256()
        for name, tensor in sorted(self.model.items()):
            content.update(f"{name} {tensor.dtype} {list(tensor.shape)} ".encode())
            content.update(tensor.contiguous().numpy().tobytes())
        return content.hexdigest()[:12]

    def origin(self) -> dict[str, Any]:
        """The part of a measurement's configuration that identifies the checkpoint."""
        trajectory = {
            group: {k: v for k, v in self.config[group].items() if not as_before(f"{group}.{k}", v)}
            for group in TRAJECTORY
            if group in self.config
        }
        for place in places(self.config):
            trajectory.get("data", {}).pop(place, None)
        trained_with = self.config["option"]
        return {"trained_with": trained_with, "step": self.step, "digest": self.digest, "trajectory": trajectory}

    def require(self, config: Config) -> None:
        """Raise BadInput unless the configuration has the checkpoint's problem, latent and model."""
        for group in ("problem", "latent", "model"):
            held, asked = (dict(flatten({group: c.get(group, {})})) for c in (self.config, config))
            for key in [*asked, *held]:
                has, wanted = (keys.get(key, LATER.get(key)) for keys in (held, asked))
                if has != wanted:
                    raise BadInput(
                        f"{self.path} holds a model of {key}={has}, and this configuration has "
                        f"{key}={wanted}: give the problem, the latent and the model that it was trained with."
                    )

    def load_into(self, model: Model) -> None:
        """Overwrite the model's parameters and buffers. Other names or shapes raise BadInput."""
        wanted = {name: list(tensor.shape) for name, tensor in model.state_dict().items()}
        held = {name: list(tensor.shape) for name, tensor in self.model.items()}
        for name in [*wanted, *held]:
            if wanted.get(name) != held.get(name):
                trained_on = self.config.get("data", self.config["problem"])["name"]
                raise BadInput(
                    f"{self.path} was trained on {trained_on} and has {name} of shape "
                    f"{held.get(name)}, where this configuration needs {wanted.get(name)}: choose data of that size."
                )
        model.load_state_dict(self.model)


def path_of(directory: Path, step: int) -> Path:
    """The file of a run's model at this step."""
    return directory / f"model_step_{step}.pt"


def write_checkpoint(directory: Path, model: Model, config: Config, step: int) -> None:
    """Write the model as it is now, with a digest. The file appears whole or not at all."""
    tensors = {name: tensor.detach().cpu() for name, tensor in model.state_dict().items()}
    content = {
        "format": FORMAT,
        "step": step,
        "config": json.dumps(as_written(config), sort_keys=True),
        "model": tensors,
    }
    directory.mkdir(parents=True, exist_ok=True)
    replace(path_of(directory, step), sealed(content))


def read_checkpoint(path: Path) -> Checkpoint:
    """Read a file that `write_checkpoint` wrote. Any other or unreadable file raises BadInput."""
    try:
        stored = foreign.content(path)
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror}.") from error
    try:
        content = opened(stored)
        if content["format"] != FORMAT:
            raise ValueError(content["format"])
        config = {"problem": {"name": "vae"}} | foreign.parsed(content["config"])  # older files have no problem
        return Checkpoint(path, int(content["step"]), config, dict(content["model"]))
    except Exception as error:  # any error of the unpickler, the archive or the content
        raise BadInput(
            f"{path} is damaged, or no checkpoint of this version of the suite; `python -m bench.probe` without "
            "probe.checkpoint makes one."
        ) from error


def find(place: Path) -> list[Path]:
    """The file, or every checkpoint below the folder, in the order of their steps. Without any it raises BadInput."""
    if place.is_file():
        return [place]
    if not place.is_dir():
        raise BadInput(f"probe.checkpoint={place} does not exist; give a file model_step_<n>.pt or a folder with some.")
    found = sorted(place.rglob("model_step_*.pt"), key=lambda path: (path.parent, len(path.name), path.name))
    if not found:
        raise BadInput(f"There is no model_step_<n>.pt below {place}; `python -m bench.probe` makes them.")
    return found
