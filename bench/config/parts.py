"""Data, models and problems of installed packages and of one's own modules, as typed options beside the suite's own.

An option whose node has a `_target_` is of a class; the other options are YAML of the suite, which builds them itself.
"""

import copy
import inspect
import json
from collections.abc import Mapping
from dataclasses import fields
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any

from hydra.core.config_store import ConfigStore
from omegaconf import OmegaConf
from omegaconf.errors import ConfigKeyError, OmegaConfBaseException

from bench import problems
from bench.config.classes import PARTS
from bench.config.kinds import KINDS
from bench.config.named import named
from bench.config.nodes import node
from bench.config.raised import constructing
from bench.config.sources import Registered, found, required, why
from bench.data.base import Dataset
from bench.errors import BadInput, nearest
from bench.problems import Problem
from bench.settings import Described

if TYPE_CHECKING:
    from bench.data.datasets import Data

UNUSED = [{f"override /{group}": None} for group in ("latent", "model", "data")]  # where a problem is none of images


@cache
def registry(group: str) -> dict[str, Registered]:
    """Option name -> class and source, of the packages that bring one. What cannot be used is left out, in one line on
    standard error that names it. Raises BadInput where two have one name, or one has the name of the suite's."""
    return found(group)


def register() -> None:
    """Store each class of a package as a typed node of its group."""
    for group in PARTS:
        for name, entry in registry(group).items():
            _store(group, name, entry.cls)


@cache
def _store(group: str, name: str, cls: Any) -> None:
    whole: Any = node(cls, group)
    if any(shared == "name" for shared, *_ in KINDS[group].shared):
        whole = whole(name=name)
    package = None
    if group == "problem":
        package, whole = "_global_", {"defaults": [*UNUSED, "_self_"], "problem": whole}
        whole |= {} if cls.has_prior else {"objective": {"beta": 0}}
    ConfigStore.instance().store(group=group, name=name, node=whole, package=package, provider=group)


def brought(config: Mapping[str, Any]) -> list[str]:
    """The groups of a configuration, beside the estimator's, that hold a class."""
    return [group for group in PARTS if "_target_" in (config.get(group) or {})]


def target(group: str, dotted: Any) -> Any:
    """The class of a `_target_`. Raises BadInput unless it is what the group needs: nothing else is ever called."""
    try:
        cls = named(dotted)
    except (Exception, SystemExit) as error:  # whatever a module does on import is no traceback of this suite
        raise BadInput(f"_target_ {dotted} cannot be imported: {why(error)}.") from error
    return required(group, cls, f"_target_ {dotted}")


def complete(group: str, config: Mapping[str, Any]) -> dict[str, Any]:
    """The node with every argument of the constructor, each of the type that it declares. Raises BadInput."""
    try:
        return copy.deepcopy(_complete(group, target(group, config["_target_"]), json.dumps(dict(config))))
    except TypeError:  # an argument that no configuration holds
        return _completed(group, target(group, config["_target_"]), dict(config))


@lru_cache(1024)  # the jobs of a sweep have few
def _complete(group: str, cls: Any, config: str) -> dict[str, Any]:
    return _completed(group, cls, json.loads(config))


def _completed(group: str, cls: Any, config: dict[str, Any]) -> dict[str, Any]:
    title = str(getattr(cls, "name", cls.__name__))
    if group == "latent" and config.get("family", cls.family) != cls.family:
        raise BadInput(f"latent.family={config['family']} is not that of {title}, which is {cls.family}.")
    try:
        merged = OmegaConf.merge(OmegaConf.structured(node(cls, group)), config)
        return OmegaConf.to_container(merged, resolve=True, throw_on_missing=True)  # type: ignore[return-value]
    except ConfigKeyError as error:
        names = [f.name for f in fields(node(cls, group)) if f.name != "_target_"]
        unknown, kind = str(error.key), "hyper-parameter" if group == "estimator" else "argument"
        raise BadInput(f"{title} has no {kind} {unknown}: {nearest(unknown, names)}") from error
    except OmegaConfBaseException as error:
        raise BadInput(f"{group}.{error.full_key} of {title}: {str(error.msg).splitlines()[0]}.") from error


def build(group: str, config: Mapping[str, Any], **given: Any) -> Any:
    """What the class of a completed node makes; of `given` it takes what its constructor names. Raises BadInput with
    the sentence of a ValueError, or of what else the constructor raises."""
    cls, shared = target(group, config["_target_"]), {"_target_", *(name for name, *_ in KINDS[group].shared)}
    taken = inspect.signature(cls).parameters
    hyper = {key: value for key, value in config.items() if key not in shared}
    with constructing(group, {"_target_": config["_target_"], **hyper}):
        return cls(**hyper, **{key: value for key, value in given.items() if key in taken})


def problem(config: Described) -> Problem | None:
    """The problem of a run, in float64; None of images. Raises ValueError where a parameter cannot be."""
    held: Any = config["problem"]
    if "_target_" in held:
        made: Problem = build("problem", held).double()
        return made
    return None if held["name"] == problems.VAE else problems.problem(**held)


def images(config: Mapping[str, Any], **where: Any) -> "Data":
    """Those of a `data` group, whether it has a name of the suite's or a class; `where` is device, dtype and seed."""
    from bench.data import datasets

    if "_target_" not in config:
        return datasets.load_dataset(**config, **where)
    made: Dataset = build("data", config)
    own = {key: config[key] for key in ("name", "binarisation", "train_size", "dequantise")}
    return datasets.made_of(made.stored(), **own, **where)


def family(config: Described) -> str:
    """The latent family of a run."""
    held: Any = config["problem"]
    if "_target_" in held:
        return str(target("problem", held["_target_"]).family.family)
    return config["latent"]["family"] if held["name"] == problems.VAE else problems.PROBLEMS[held["name"]].family.family
