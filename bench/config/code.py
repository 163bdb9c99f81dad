"""The code that a run's numbers depend on, as a digest of its sources that neither comments nor layout change.

It is that of the estimator and of every module that computes a number: what `NUMERIC` holds of the suite, as far as a
run imports it. Of an estimator from elsewhere it is its module too, with what that imports from its own package, or
from beside it, and the name and version of its distribution. The configuration is the run's identity; PyTorch's version
and the suite's have columns of their own; neither is part of the digest. Nothing is imported for it, and each source is
read once a process.
"""

import ast
import hashlib
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, NamedTuple

from bench.config.named import found_at

GROUP = "estimator_bench.estimators"  # of entry points
NUMERIC = ("estimators", "bench.streams", "bench.data", "bench.problems", "bench.model", "bench.train", "bench.measure",
           "bench.run.device", "bench.run.experiment", "bench.run.together", "bench.run.rows", "bench.run.loop",
           "bench.probe.shared", "bench.probe.timing")  # fmt: skip
TRAINING = tuple(name for name in NUMERIC if name.startswith("bench.run."))  # where a run begins
PROBING = tuple(name for name in NUMERIC if name.startswith("bench.probe."))
COMMON = ("estimators.base", "estimators.latents")  # of the estimators, what is no estimator's own
REFERENCES = ("estimators.exact", "estimators.reparam", "estimators.rloo")  # what `auto` and `exact` choose among
SILENT = ("ctx", "kind", "type_comment")  # fields of a syntax tree without a meaning of their own


class Source(NamedTuple):
    """What a module says: a digest of its statements, and the names that it imports."""

    digest: str
    imports: tuple[str, ...]


def made_by(config: Mapping[str, Any]) -> str | None:
    """12 hexadecimal digits of the code behind a run's numbers; None where the estimator's module has no source.

    Args:
        config: of the run: `estimator._target_`, `measure.reference`, and `probe` where it is a measurement.
    """
    return _made_by(str(config["estimator"]["_target_"]), str(config["measure"]["reference"]), "probe" in config)


@cache
def _made_by(target: str, reference: str, probed: bool) -> str | None:
    remember()
    own = target.rpartition(".")[0]
    if file_of(own) is None:
        return None
    roots = [own, *(PROBING if probed else TRAINING)]
    if reference != "none":
        roots += [*REFERENCES, *([] if reference == "auto" else _modules_of(reference))]
    found = _closure(roots)
    text = "\n".join([*(f"{name} {found[name]}" for name in sorted(found)), distribution(target) or ""])
    return hashlib.sha256(text.encode()).hexdigest()[:12]


@cache
def distribution(target: str) -> str | None:
    """Name and version of the installed package that offers this class; None of a class of the suite or of a file."""
    for point in entry_points(group=GROUP):
        if point.dist and _top(point.value) == _top(target):
            return f"{point.dist.name} {point.dist.version}"
    return None


def remember() -> None:
    """Read the sources of what is loaded: they may change while the process goes on with what it has."""
    for name in [*sys.modules]:
        if _numeric(name) and (file := file_of(name)):
            with suppress(OSError):
                _content(file)


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
def source_of(file: Path, module: str) -> Source:
    """The module in this file, which is not imported. Raises OSError where there is none."""
    words: list[str] = []
    try:
        tree = ast.parse(_content(file))
        _say(tree, words.append)
        said = "\n".join(words).encode("utf-8", "surrogatepass")
    except (SyntaxError, ValueError, RecursionError):  # of a later Python, or very deep
        tree, said = ast.Module([], []), _content(file)
    digest = hashlib.sha256(said).hexdigest()
    package = module if file.name == "__init__.py" else module.rpartition(".")[0]
    return Source(digest, tuple(dict.fromkeys(_imports(tree, package))))


@cache
def _content(file: Path) -> bytes:
    return file.read_bytes()


def _say(node: Any, say: Callable[[str], object]) -> None:
    """The syntax tree in words that are the same in every version of Python. Text that is a statement, as a docstring
    is, does nothing and is left out."""
    if isinstance(node, ast.AST):
        say(type(node).__name__)
        for field in node._fields:
            value = getattr(node, field, None)
            if isinstance(node, ast.JoinedStr):
                value = [part for part in node.values if not _is_text(part, "")]  # 3.12 has empty ones
            if value is not None and value != [] and field not in SILENT:
                say(field)
                _say(value, say)
        say(")")
    elif isinstance(node, list):
        for item in node:
            if not (isinstance(item, ast.Expr) and _is_text(item.value)):
                _say(item, say)
        say("]")
    else:
        say(repr(node))


def _is_text(node: ast.AST, only: str | None = None) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str) and only in (None, node.value)


def _imports(tree: ast.AST, package: str) -> Iterator[str]:
    """Every name that may be a module; `from a import b` gives a and a.b."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)


@cache
def _modules_of(option: str) -> list[str]:
    """The module of a reference: an entry point's, or the file of its name; else every module of the estimators."""
    points = [point.value.partition(":")[0] for point in entry_points(group=GROUP) if point.name == option]
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
