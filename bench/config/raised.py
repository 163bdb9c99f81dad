"""What a class of someone's own raises while a run is built, as one sentence that names it."""

import inspect
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from bench.config.code import targets
from bench.config.kinds import KINDS
from bench.config.named import named
from bench.config.sentences import first_line
from bench.errors import BadInput, DataError, memory_lacks

LIBRARIES = ("torch", "builtins", "abc", "typing")
SUITE = ("bench", "estimators", *LIBRARIES)  # packages whose classes are nobody's own


@contextmanager
def building(config: Mapping[str, Any]) -> Iterator[None]:
    """A context in which the parts of a run are built and tried.

    Raises:
        BadInput: a method of a class that the configuration names has raised; the exception is the cause. What the
            suite says itself, a ValueError of one line and a lack of memory pass as they are.
    """
    try:
        yield
    except (Exception, SystemExit) as error:
        owner = None if passes(error) else _owner(error, config)
        if owner is None:
            raise
        raise BadInput(said(owner, config[owner], error)) from error


@contextmanager
def constructing(group: str, held: Mapping[str, Any]) -> Iterator[None]:
    """The same around a constructor, whose class is that of the group. A ValueError of one line is a BadInput too."""
    try:
        yield
    except (Exception, SystemExit) as error:
        if isinstance(error, BadInput | DataError) or memory_lacks(error):
            raise
        raise BadInput(str(error) if passes(error) else said(group, held, error)) from error


def passes(error: BaseException) -> bool:
    """Whether it has a sentence of its own, or means that there is no memory."""
    spoken = isinstance(error, ValueError) and len(str(error).splitlines()) == 1
    return isinstance(error, BadInput | DataError) or spoken or memory_lacks(error) is not None


def said(group: str, held: Mapping[str, Any], error: BaseException) -> str:
    """The class of a group, its arguments, what it raised, and in which line."""
    shared = {"_target_", *(key for key, *_ in KINDS[group].shared)}
    given = " ".join(f"{group}.{key}={value}" for key, value in held.items() if key not in shared)
    raised = type(error).__name__ + (f": {first_line(error).rstrip('.')}" if str(error).strip() else "")
    cls = named(held["_target_"])
    frame = _own_frame(error, cls) or _own_frame(error, cls, LIBRARIES)  # or of a file put into the suite
    where = f"line {frame[1]} of {Path(frame[0].f_code.co_filename).name}; " if frame else ""
    what = f"{group}._target_={held['_target_']}{f' with {given}' if given else ''}"
    return f"{what} raised {raised} ({where}HYDRA_FULL_ERROR=1 shows the traceback)."


def _owner(error: BaseException, config: Mapping[str, Any]) -> str | None:
    """The group whose class ran when it was raised: of several, the one that was called last."""
    found: dict[int, str] = {}
    for group, target in targets(config).items():
        if frame := _own_frame(error, named(target)):
            found[frame[2]] = group
    return found[max(found)] if found else None


def _own_frame(error: BaseException, cls: type, others: tuple[str, ...] = SUITE) -> tuple[FrameType, int, int] | None:
    """The last call of a method of this class, or of a base that is in none of these packages, with its line and its
    depth."""
    own = [base for base in cls.__mro__ if base.__module__.partition(".")[0] not in others]
    names = {(inspect.getsourcefile(base), f"{base.__qualname__}.") for base in own}
    found = None
    for depth, (frame, line) in enumerate(traceback.walk_tb(error.__traceback__)):
        code = frame.f_code
        if any(code.co_filename == file and code.co_qualname.startswith(name) for file, name in names):
            found = frame, line, depth
    return found
