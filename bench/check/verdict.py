"""The verdict of a check, and the functions with which a check reaches one."""

import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from bench.docstrings import docstring


class Verdict(NamedTuple):
    """The result of one check.

    Attributes:
        status: `ok`, `FAILED`, `info` (a measurement without a demand) or `skipped`.
        number: the measured value as text: "|z| 2.1", "error 3e-16".
        reason: one sentence; empty only if the status is `ok`.
    """

    status: str
    number: str = ""
    reason: str = ""
    rule: str = ""  # name of the check
    broken: str = ""  # the rule itself, one sentence
    family: str = "-"
    last: bool = False  # whether no further check of the family runs, since each would fail for the same reason


class Broken(Exception):
    """A rule is broken. The message says how, `number` by how much, and `last` whether to end the family's checks."""

    def __init__(self, reason: str, number: str = "", last: bool = False):
        super().__init__(reason)
        self.number, self.last = number, last


def demand(holds: bool, reason: str, number: str = "") -> None:
    """Raise Broken with this reason unless the condition holds."""
    if not holds:
        raise Broken(reason, number)


def demand_first(fault: str | None) -> None:
    """Raise Broken with `last` if there is a fault, one that would make every other check fail."""
    if fault is not None:
        raise Broken(fault, last=True)


def ok(number: str = "", reason: str = "") -> Verdict:
    return Verdict("ok", number, reason)


def info(number: str, reason: str) -> Verdict:
    return Verdict("info", number, reason)


def skipped(reason: str) -> Verdict:
    return Verdict("skipped", "", reason)


def verdict(check: Callable[..., Verdict], *arguments: Any, family: str = "-") -> Verdict:
    """Run a check and return its verdict. An exception becomes the status `FAILED`, never a traceback.

    The rule that the verdict quotes is the first paragraph of the check's docstring.
    """
    broken = " ".join(docstring(check).split("\n\n")[0].split())
    try:
        found = check(*arguments)
    except Broken as error:
        found = Verdict("FAILED", error.number, str(error), last=error.last)
    except Exception as error:
        found = Verdict("FAILED", "crash", crash(error))
    return found._replace(rule=check.__name__, broken=broken, family=family)


def crash(error: Exception) -> str:
    """The error in one line, with the innermost line of code outside libraries and this kit."""
    message = " ".join(f"{type(error).__name__}: {error}".split())
    message = message if len(message) <= 160 else message[:157] + "..."
    inside = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if "site-packages" not in frame.filename and not frame.filename.startswith(str(Path(__file__).parent))
    ]
    return f"{message} (line {inside[-1].lineno} of {Path(inside[-1].filename).name})" if inside else message
