"""A check, its verdict, and the number behind it."""

import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple


class Verdict(NamedTuple):
    """What one check found.

    Attributes:
        status: `ok`, `FAILED`, `info` (measured, nothing demanded) or `skipped`.
        number: what was measured, in words: "|z| 2.1", "error 3e-16".
        reason: one sentence; always there unless the status is `ok`.
    """

    status: str
    number: str = ""
    reason: str = ""
    rule: str = ""  # name of the check
    broken: str = ""  # the rule itself, one sentence
    family: str = "-"
    last: bool = False  # broken so that every other check would say the same


class Broken(Exception):
    """A rule is broken; the message says how, `number` by how much, `last` whether no other check can say more."""

    def __init__(self, reason: str, number: str = "", last: bool = False):
        super().__init__(reason)
        self.number, self.last = number, last


def demand(holds: bool, reason: str, number: str = "") -> None:
    """Raise Broken unless it holds."""
    if not holds:
        raise Broken(reason, number)


def demand_first(fault: str | None) -> None:
    """Raise Broken where there is a fault that every other check would stumble over."""
    if fault is not None:
        raise Broken(fault, last=True)


def ok(number: str = "", reason: str = "") -> Verdict:
    return Verdict("ok", number, reason)


def info(number: str, reason: str) -> Verdict:
    return Verdict("info", number, reason)


def skipped(reason: str) -> Verdict:
    return Verdict("skipped", "", reason)


def verdict(check: Callable[..., Verdict], *arguments: Any, family: str = "-") -> Verdict:
    """Run a check; whatever is raised is a failure, never a traceback. The rule is the check's docstring."""
    broken = " ".join((check.__doc__ or "").split("\n\n")[0].split())
    try:
        found = check(*arguments)
    except Broken as error:
        found = Verdict("FAILED", error.number, str(error), last=error.last)
    except Exception as error:
        found = Verdict("FAILED", "crash", crash(error))
    return found._replace(rule=check.__name__, broken=broken, family=family)


def crash(error: Exception) -> str:
    """One line: the error, and the innermost line of code outside the libraries and this kit."""
    message = " ".join(f"{type(error).__name__}: {error}".split())
    message = message if len(message) <= 160 else message[:157] + "..."
    inside = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if "site-packages" not in frame.filename and not frame.filename.startswith(str(Path(__file__).parent))
    ]
    return f"{message} (line {inside[-1].lineno} of {Path(inside[-1].filename).name})" if inside else message
