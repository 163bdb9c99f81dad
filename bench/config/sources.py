"""Where estimators and other parts come from: the files of this tree, and the entry points of installed packages.

What cannot be used is left out, in one line on standard error that names it, and stops none of the others.
"""

import importlib
import pkgutil
import sys
import traceback
from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, NamedTuple

import estimators
from bench.config.code import GROUPS
from bench.config.kinds import KINDS
from bench.config.nodes import node
from bench.errors import BadInput
from bench.files import CONF
from bench.terminal import plain


class Registered(NamedTuple):
    """A class and where it comes from: a path in the tree, or the name of a distribution."""

    cls: Any
    source: str


def found(group: str = "estimator") -> dict[str, Registered]:
    """Option name -> class and source, sorted by name. Raises BadInput where two have one name; the suite's own options
    of the other groups are YAML."""
    left_out: dict[str, list[str]] = {}  # reason -> what, since a broken file breaks those that import it
    claims: dict[str, list[Registered]] = {}
    in_tree = _in_tree(left_out) if group == "estimator" else ()
    for name, entry in [*in_tree, *_installed(group, left_out)]:
        claims.setdefault(name, []).append(entry)
    own = () if group == "estimator" else presets(group)
    for name, entries in claims.items():
        homes = [*([f"conf/{group}/{name}.yaml"] if name in own else []), *(entry.source for entry in entries)]
        if len(homes) > 1:
            kind = "estimators" if group == "estimator" else f"options of {group}"
            raise BadInput(f"Two {kind} are called {name}: {' and '.join(homes)}; rename one.")
    tell(left_out)
    return {name: entries[0] for name, entries in sorted(claims.items())}


def presets(group: str) -> list[str]:
    """The name of each YAML in `conf/<group>`."""
    return sorted(file.stem for file in (CONF / group).glob("*.yaml"))


def tell(left_out: dict[str, list[str]]) -> None:
    """One line for each reason: what is left out for it."""
    for reason, what in left_out.items():
        print(
            plain(f"{', '.join(what)} {'are' if len(what) > 1 else 'is'} left out: {reason.rstrip('.')}."),
            file=sys.stderr,
        )


def required(group: str, cls: Any, what: str) -> Any:
    """The class; raises BadInput unless it is what the group needs."""
    if not KINDS[group].fits(cls):
        raise BadInput(f"{what} is not {KINDS[group].needed}.")
    return cls


def why(error: BaseException) -> str:
    """What the import of a file raised, in one line, and where."""
    words = " ".join(f"{type(error).__name__}: {error}".split()).rstrip(".")
    frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename.endswith(".py")]
    own = [f for f in frames if Path(f.filename).parent not in (Path(__file__).parent, Path(importlib.__file__).parent)]
    if not own or isinstance(error, SyntaxError | BadInput):  # which say where
        return words.removeprefix("BadInput: ")
    return f"{words} (line {own[-1].lineno} of {Path(own[-1].filename).name})"


def _in_tree(left_out: dict[str, list[str]]) -> Iterator[tuple[str, Registered]]:
    for info in pkgutil.iter_modules(estimators.__path__):
        if info.ispkg:
            continue
        source = f"estimators/{info.name}.py"
        try:
            module = importlib.import_module(f"estimators.{info.name}")
        except (Exception, SystemExit) as error:  # half-written, or written to be run
            left_out.setdefault(why(error), []).append(source)
            continue
        for cls in list(vars(module).values()):
            if KINDS["estimator"].fits(cls) and cls.__module__ == module.__name__ and not cls.__name__.startswith("_"):
                try:
                    node(cls)
                except Exception as error:
                    left_out.setdefault(why(error), []).append(f"{cls.__name__} of {source}")
                else:
                    yield cls.name, Registered(cls, source)


def _installed(group: str, left_out: dict[str, list[str]]) -> Iterator[tuple[str, Registered]]:
    for point in entry_points(group=GROUPS[group]):
        source = point.dist.name if point.dist else point.value
        try:
            cls = required(group, point.load(), point.value)
            node(cls, group)
        except (Exception, SystemExit) as error:
            left_out.setdefault(why(error), []).append(f"{KINDS[group].word} {point.name} of {source}")
        else:
            yield point.name, Registered(cls, source)
