"""The code that a run's numbers depend on, as a digest of its sources that neither comments nor layout change.

It is that of the estimator and of every module that computes a number: what `NUMERIC` holds of the suite, as far as a
run imports it. Of an estimator, data, a model, latents or a problem from elsewhere it is its module too, with what that
imports from its own package, or from beside it, and the name and version of its distribution. The configuration is the
run's identity; PyTorch's version and the suite's have columns of their own; neither is part of the digest. Nothing is
imported for it, and each source is read once a process.
"""

import hashlib
import sys
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from bench.config.named import found_at
from bench.config.statements import content, source_of

GROUPS = {  # group of the configuration -> that of the entry points which bring an option of it
    "estimator": "estimator_bench.estimators",
    "data": "estimator_bench.data",
    "model": "estimator_bench.models",
    "latent": "estimator_bench.latents",
    "problem": "estimator_bench.problems",
}
NUMERIC = ("estimators", "bench.streams", "bench.data", "bench.problems", "bench.model", "bench.train", "bench.measure",
           "bench.run.device", "bench.run.experiment", "bench.run.together", "bench.run.rows", "bench.run.loop",
           "bench.probe.shared", "bench.probe.timing")  # fmt: skip
TRAINING = tuple(name for name in NUMERIC if name.startswith("bench.run."))  # where a run begins
PROBING = tuple(name for name in NUMERIC if name.startswith("bench.probe."))
COMMON = ("estimators.base", "estimators.latents")  # of the estimators, what is no estimator's own
REFERENCES = ("estimators.exact", "estimators.reparam", "estimators.rloo")  # what `auto` and `exact` choose among


def made_by(config: Mapping[str, Any]) -> str | None:
    """12 hexadecimal digits of the code behind a run's numbers; None where the module of a `_target_` has no source.

    Args:
        config: of the run: each `_target_`, `measure.reference`, and `probe` where it is a measurement.
    """
    return _made_by(tuple(targets(config).values()), str(config["measure"]["reference"]), "probe" in config)


def targets(config: Mapping[str, Any]) -> dict[str, str]:
    """Group -> the `_target_` of its option, of the groups that hold a class."""
    groups = ((group, config.get(group) or {}) for group in GROUPS)
    return {group: str(held["_target_"]) for group, held in groups if "_target_" in held}


@cache
def _made_by(targets: tuple[str, ...], reference: str, probed: bool) -> str | None:
    remember()
    own = [target.rpartition(".")[0] for target in targets]
    if None in map(file_of, own):
        return None
    roots = [*own, *(PROBING if probed else TRAINING)]
    if reference != "none":
        roots += [*REFERENCES, *([] if reference == "auto" else _modules_of(reference))]
    found = _closure(roots)
    packages = (distribution(target) or "" for target in targets)
    text = "\n".join([*(f"{name} {found[name]}" for name in sorted(found)), *packages])
    return hashlib.sha256(text.encode()).hexdigest()[:12]


@cache
def distribution(target: str) -> str | None:
    """Name and version of the installed package that offers this class; None of a class of the suite or of a file."""
    for point in (point for group in GROUPS.values() for point in entry_points(group=group)):
        if point.dist and _top(point.value) == _top(target):
            return f"{point.dist.name} {point.dist.version}"
    return None


def remember() -> None:
    """Read the sources of what is loaded: they may change while the process goes on with what it has."""
    for name in [*sys.modules]:
        if _numeric(name) and (file := file_of(name)):
            with suppress(OSError):
                content(file)


def file_of(module: str) -> Path | None:
    """Where the source of a module lies, whether it is loaded or not; None where it has none."""
    origin = getattr(sys.modules.get(module), "__file__", None) or found_at(module)
    return Path(origin) if origin and origin.endswith(".py") else None


def _closure(roots: list[str]) -> dict[str, str]:
    """The modules that these begin, each with the digest of its source."""
    found: dict[str, str] = {}
    waiting = [*roots]
    while waiting:
        name = waiting.pop()
        file = None if name in found else file_of(name)
        if file is None:
            continue
        with suppress(OSError):  # removed since it was loaded
            source = source_of(file, name)
            found[name] = source.digest
            waiting += [imported for imported in source.imports if _followed(name, file, imported)]
    return found


def _followed(module: str, file: Path, imported: str) -> bool:
    """Whether the numbers that need a module need what it imports."""
    if _numeric(imported):
        own = imported.startswith("estimators.") and not _within(imported, COMMON)
        return not own or not module.startswith("bench.")  # the suite asks them who they are; `roots` has those it runs
    if _top(imported) in ("bench", "estimators") or _top(module) in ("bench", "estimators"):
        return False
    if _top(imported) == _top(module):
        return True
    if _top(imported) in sys.stdlib_module_names or {"site-packages", "dist-packages"} & {*file.parts}:
        return False
    beside = file_of(imported)
    return beside is not None and _home(imported, beside) == _home(module, file)


def _home(module: str, file: Path) -> Path:
    """The folder that holds the module, or the package that it is in."""
    return file.parents[module.count(".") + (file.name == "__init__.py")]


@cache
def _modules_of(option: str) -> list[str]:
    """The module of a reference: an entry point's, or the file of its name; else every module of the estimators."""
    points = [
        point.value.partition(":")[0] for point in entry_points(group=GROUPS["estimator"]) if point.name == option
    ]
    own = file_of(f"estimators.{option}")
    package = file_of("estimators")
    if points or own or package is None:
        return points or [f"estimators.{option}"]
    return [f"estimators.{file.stem}" for file in sorted(package.parent.glob("*.py")) if file != package]


def _numeric(name: str) -> bool:
    return _within(name, NUMERIC)


def _within(name: str, rooms: tuple[str, ...]) -> bool:
    return any(name == room or name.startswith(f"{room}.") for room in rooms)


def _top(name: str) -> str:
    return name.partition(":")[0].partition(".")[0]
