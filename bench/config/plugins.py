"""The registry: every estimator of this tree and of installed packages, as a typed Hydra option `estimator=<name>`.

In the tree, a class in `estimators/*.py` is enough. Out of the tree, an entry point of the group
`estimator_bench.estimators` names a class of any installed package; the option has the entry point's name.
"""

import importlib
import inspect
import pkgutil
import sys
from collections.abc import Iterator
from dataclasses import fields
from functools import cache
from importlib.metadata import EntryPoint, entry_points, version
from pathlib import Path
from typing import Any, NamedTuple

from hydra import compose, initialize_config_dir
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from omegaconf import OmegaConf
from omegaconf.errors import ConfigKeyError, OmegaConfBaseException

import estimators
from bench.config.code import GROUP
from bench.config.named import named
from bench.config.nodes import node, path
from bench.errors import BadInput, nearest
from bench.files import CONF
from bench.settings import EstimatorGroup
from estimators import Estimator

VERSION_BASE: Any = {"version_base": "1.3"} if version("hydra-core").startswith("1.3") else {}  # deprecated from 1.4


class Registered(NamedTuple):
    """An estimator class and where it comes from: a path in the tree, or the name of a distribution."""

    cls: type[Estimator]
    source: str


@cache
def registry() -> dict[str, Registered]:
    """Option name -> class and source, sorted by name.

    A package's estimator that cannot be loaded is one line on standard error. Raises BadInput where two classes claim
    one name, or where a file of the tree cannot be made an option.
    """
    found: dict[str, Registered] = {}
    for name, entry in [*_in_tree(), *_installed()]:
        if name in found:
            raise BadInput(f"Two estimators are called {name}: {found[name].source} and {entry.source}; rename one.")
        found[name] = entry
    return dict(sorted(found.items()))


@cache
def presets() -> dict[str, type[Estimator]]:
    """Name of each YAML in `conf/estimator` -> the class it configures."""
    return {name: target(composed(name).get("_target_")) for name in _preset_names()}


def register() -> None:
    """Store each registered class as a typed node of the group `estimator`.

    Raises BadInput where a YAML in `conf/estimator` has the name of a class: it would silently win.
    """
    for name in _preset_names():
        if name in registry():
            raise BadInput(
                f"conf/estimator/{name}.yaml has the name of the estimator in {registry()[name].source}; rename one."
            )
    for name, entry in registry().items():
        _store(name, entry.cls)


def check_folder(folder: Path) -> None:
    """Raise BadInput where a YAML of the user's own is no text, or has the name of an estimator of the suite."""
    for file in sorted([*folder.glob("*.yaml"), *folder.glob("*/*.yaml")]):
        try:
            if file.is_file():
                file.read_bytes().decode()
        except UnicodeDecodeError as error:
            raise BadInput(f"{file} is not UTF-8 text: {error.reason} at byte {error.start}.") from error
        if file.parent == folder / "estimator" and file.stem in registry() | presets():
            raise BadInput(f"{file} has the name of an estimator of the suite; give it another name.")


def estimator(name: str, **hyper: Any) -> Estimator:
    """Any registered estimator, or preset of `conf/estimator`, by name: `estimator("rloo", k=4)`.

    Raises BadInput, with one sentence, at an unknown name or hyper-parameter and at a value that is not possible.
    """
    if name in registry():
        return build({"_target_": path(registry()[name].cls), **hyper})
    if name in _preset_names():
        return build({**composed(name), **hyper})
    raise BadInput(f"There is no estimator {name}: {nearest(name, [*registry(), *_preset_names()])}")


def build(config: EstimatorGroup) -> Estimator:
    """The estimator of a config node: `_target_` and hyper-parameters. Raises BadInput with one sentence."""
    hyper = complete(config)
    cls = target(hyper.pop("_target_"))
    try:
        return cls(**hyper)
    except ValueError as error:
        raise BadInput(str(error)) from error


def complete(config: EstimatorGroup | None) -> EstimatorGroup:
    """The node with every hyper-parameter, each of the type that the constructor declares."""
    if not config or "_target_" not in config:
        raise BadInput("The configuration has no estimator; choose one with estimator=<name>.")
    cls = target(config["_target_"])
    try:
        merged = OmegaConf.merge(OmegaConf.structured(node(cls)), config)
        return OmegaConf.to_container(merged, resolve=True, throw_on_missing=True)  # type: ignore[return-value]
    except ConfigKeyError as error:
        names = [f.name for f in fields(node(cls)) if f.name != "_target_"]
        unknown = str(error.key)
        raise BadInput(f"{cls.name} has no hyper-parameter {unknown}: {nearest(unknown, names)}") from error
    except OmegaConfBaseException as error:
        raise BadInput(f"estimator.{error.full_key} of {cls.name}: {str(error.msg).splitlines()[0]}.") from error


def target(dotted: Any) -> type[Estimator]:
    """The class of a `_target_`. Raises BadInput unless it is an Estimator: nothing else is ever called."""
    try:
        cls = named(dotted)
    except Exception as error:  # whatever the module does on import is its own fault, and not a traceback of this suite
        reason = " ".join(f"{type(error).__name__}: {error}".split()).rstrip(".")
        raise BadInput(f"_target_ {dotted} cannot be imported: {reason}.") from error
    return _require_estimator(cls, f"_target_ {dotted}")


@cache
def _store(name: str, cls: type[Estimator]) -> None:
    ConfigStore.instance().store(group="estimator", name=name, node=node(cls), provider="estimators")


def _in_tree() -> Iterator[tuple[str, Registered]]:
    for info in pkgutil.iter_modules(estimators.__path__):
        if info.ispkg:
            continue
        source = f"estimators/{info.name}.py"
        try:
            module = importlib.import_module(f"estimators.{info.name}")
        except Exception as error:
            raise BadInput(f"{source} cannot be imported: {type(error).__name__}: {error}.") from error
        for cls in vars(module).values():
            if _is_estimator(cls) and cls.__module__ == module.__name__ and not cls.__name__.startswith("_"):
                node(cls)
                yield cls.name, Registered(cls, source)


def _installed() -> Iterator[tuple[str, Registered]]:
    for point in entry_points(group=GROUP):
        source = point.dist.name if point.dist else point.value
        try:
            yield point.name, Registered(_load(point), source)
        except Exception as error:  # whatever a package does on import is its own fault, and not the end of the job
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            print(f"Estimator {point.name} of {source} is left out: {reason}", file=sys.stderr)


def _load(point: EntryPoint) -> type[Estimator]:
    cls = _require_estimator(point.load(), point.value)
    node(cls)
    return cls


def _is_estimator(cls: Any) -> bool:
    return isinstance(cls, type) and issubclass(cls, Estimator) and not inspect.isabstract(cls)


def _require_estimator(cls: Any, what: str) -> type[Estimator]:
    if not _is_estimator(cls):
        raise BadInput(f"{what} is not a concrete subclass of estimators.Estimator.")
    return cls


def _preset_names() -> list[str]:
    return sorted(file.stem for file in (CONF / "estimator").glob("*.yaml"))


def composed(name: str) -> EstimatorGroup:
    """The estimator node of a preset, interpolations resolved against the default configuration."""
    register()
    outer, GlobalHydra.instance().hydra = GlobalHydra.instance().hydra, None  # this may run inside a job
    try:
        with initialize_config_dir(str(CONF), **VERSION_BASE):
            return OmegaConf.to_container(compose("config", [f"estimator={name}"]), resolve=True)["estimator"]  # type: ignore
    finally:
        GlobalHydra.instance().hydra = outer
