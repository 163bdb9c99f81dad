"""The registry: every estimator of this tree and of installed packages, as a typed Hydra option `estimator=<name>`.

In the tree, a class in `estimators/*.py` is enough. Out of the tree, an entry point of the group
`estimator_bench.estimators` names a class of any installed package; the option has the entry point's name.
"""

from copy import deepcopy
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from omegaconf import OmegaConf

from bench.config import parts
from bench.config.classes import PARTS
from bench.config.nodes import node, path
from bench.config.raised import constructing
from bench.config.sentences import sentence
from bench.config.sources import Registered, found, tell, why
from bench.config.sources import presets as yaml_of
from bench.errors import BadInput, nearest_estimator
from bench.files import CONF
from bench.interface import undeclared
from bench.settings import EstimatorGroup
from estimators import Estimator

VERSION_BASE: Any = {"version_base": "1.3"} if version("hydra-core").startswith("1.3") else {}  # deprecated from 1.4


@cache
def registry() -> dict[str, Registered]:
    """Option name -> class and source, sorted by name. What cannot be used is left out, in one line on standard error
    that names it: a file of the tree, a class of one, a package's estimator. Raises BadInput where two share a name."""
    return found()


@cache
def presets() -> dict[str, type[Estimator]]:
    """Name of each YAML in `conf/estimator` -> the class it configures; without those that are left out, as above."""
    made: dict[str, type[Estimator]] = {}
    left_out: dict[str, list[str]] = {}
    for name in _preset_names():
        try:
            made[name] = target(composed(name).get("_target_"))
        except Exception as error:  # its YAML or its class is half-written
            left_out.setdefault(sentence(error) or why(error), []).append(f"conf/estimator/{name}.yaml")
    tell(left_out)
    return made


def register() -> None:
    """Store each registered class as a typed node of the group `estimator`, and the other parts of packages in theirs.

    Raises BadInput where a YAML in `conf/estimator` has the name of a class: it would silently win.
    """
    for name in _preset_names():
        if name in registry():
            raise BadInput(
                f"conf/estimator/{name}.yaml has the name of the estimator in {registry()[name].source}; rename one."
            )
    for name, entry in registry().items():
        _store(name, entry.cls)
    parts.register()


def check_folder(folder: Path) -> None:
    """Raise BadInput where a YAML of the user's own is no text, or has the name of an option of the suite."""
    for file in sorted([*folder.glob("*.yaml"), *folder.glob("*/*.yaml")]):
        try:
            if file.is_file():
                file.read_bytes().decode()
        except UnicodeDecodeError as error:
            raise BadInput(f"{file} is not UTF-8 text: {error.reason} at byte {error.start}.") from error
        group = file.parent.name if file.parent.parent == folder else ""
        if group == "estimator" and file.stem in registry() | presets():
            raise BadInput(f"{file} has the name of an estimator of the suite; give it another name.")
        if group in PARTS and file.stem in {*yaml_of(group), *parts.registry(group)}:
            raise BadInput(f"{file} has the name of an option of {group}; give it another name.")


def estimator(name: str, **hyper: Any) -> Estimator:
    """Any registered estimator, or preset of `conf/estimator`, by name: `estimator("rloo", k=4)`.

    Raises BadInput, with one sentence, at an unknown name or hyper-parameter and at a value that is not possible.
    """
    if not isinstance(name, str):
        raise BadInput(f"An estimator is asked for by its name, which is text; got {name!r}.")
    if name in registry():
        return build({"_target_": path(registry()[name].cls), **hyper})
    if name in _preset_names():
        return build({**composed(name), **hyper})
    raise BadInput(f"There is no estimator {name}: {nearest_estimator(name, [*registry(), *_preset_names()])}")


def build(config: EstimatorGroup) -> Estimator:
    """The estimator of a config node: `_target_` and hyper-parameters. Raises BadInput with one sentence."""
    hyper = complete(config)
    cls = target(hyper.pop("_target_"))
    with constructing("estimator", {"_target_": path(cls), **hyper}):
        made = cls(**hyper)
    if said := undeclared(made):
        raise BadInput(f"{cls.name} is not finished: {said}.")
    return made


def complete(config: EstimatorGroup | None) -> EstimatorGroup:
    """The node with every hyper-parameter, each of the type that the constructor declares."""
    if not config or "_target_" not in config:
        raise BadInput("The configuration has no estimator; choose one with estimator=<name>.")
    return parts.complete("estimator", config)


def target(dotted: Any) -> type[Estimator]:
    """The class of a `_target_`. Raises BadInput unless it is an Estimator: nothing else is ever called."""
    cls: type[Estimator] = parts.target("estimator", dotted)
    return cls


@cache
def _store(name: str, cls: type[Estimator]) -> None:
    ConfigStore.instance().store(group="estimator", name=name, node=node(cls), provider="estimators")


def _preset_names() -> list[str]:
    return sorted(file.stem for file in (CONF / "estimator").glob("*.yaml"))


def composed(name: str) -> EstimatorGroup:
    """The estimator node of a preset, interpolations resolved against the default configuration."""
    return deepcopy(_composed(name, CONF))


@cache  # a composition takes a tenth of a second
def _composed(name: str, conf: Path) -> EstimatorGroup:
    register()
    outer, GlobalHydra.instance().hydra = GlobalHydra.instance().hydra, None  # this may run inside a job
    try:
        with initialize_config_dir(str(conf), **VERSION_BASE):
            return OmegaConf.to_container(compose("config", [f"estimator={name}"]), resolve=True)["estimator"]  # type: ignore
    finally:
        GlobalHydra.instance().hydra = outer
