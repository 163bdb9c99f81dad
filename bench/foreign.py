"""Files that may come from anywhere: read without waiting for what never comes, and in JSON only what is ordinary."""

import errno
import json
import math
import os
import stat
from pathlib import Path
from typing import Any

DEEPEST = 40  # levels of JSON; a configuration has five
LARGEST = 2**63


def content(path: Path) -> bytes:
    """The bytes of a file. Raises OSError where it is none: a pipe or a device may never end, or never begin."""
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    with open(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "it is not an ordinary file", str(path))
        return file.read()


def parsed(text: bytes | str) -> Any:
    """What the JSON says. Raises ValueError, with what is odd, where it is none, or holds what no table and no terminal
    can: a number that is not finite or beyond 64 bits, text that is not UTF-8, deep nesting."""
    try:
        found = json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    waiting = [(found, 0)]
    while waiting:
        value, depth = waiting.pop()
        if depth > DEEPEST:
            raise ValueError("it is nested too deeply")
        if isinstance(value, int) and not -LARGEST <= value < LARGEST:
            raise ValueError("an integer is beyond 64 bits")
        if isinstance(value, float) and not math.isfinite(value):
            raise ValueError("a number is not finite")
        if isinstance(value, str) and not value.isascii() and any("\ud800" <= c <= "\udfff" for c in value):
            raise ValueError("a text is not UTF-8")
        if isinstance(value, dict):
            waiting += [(inner, depth + 1) for pair in value.items() for inner in pair]
        elif isinstance(value, list):
            waiting += [(inner, depth + 1) for inner in value]
    return found
