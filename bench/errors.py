"""What a user is told in one sentence."""

import re
from collections.abc import Iterable
from difflib import get_close_matches

GPU_MEMORY = re.compile("CUDA out of memory|CUDA error: out of memory|STATUS_ALLOC_FAILED")  # the last by libraries
CPU_MEMORY = re.compile(
    "DefaultCPUAllocator|Storage size calculation overflowed|numel: integer multiplication overflow"
)


class BadInput(ValueError):
    """What the user asked for cannot be; the message is one sentence, in which nothing moves a terminal."""

    def __init__(self, message: str):
        super().__init__("".join(c if c.isprintable() else repr(c)[1:-1] for c in message))


class UnknownKey(BadInput):
    """No configuration has the key."""


class Impossible(BadInput):
    """Every part exists, but they do not go together: an estimator and a family, an objective, a reference."""


def nearest(word: str, options: Iterable[str], listed: str = "") -> str:
    """The end of a sentence: the options that `word` may have meant. Where none is near, it is all of them, or
    what lists them."""
    options = sorted(set(options))
    if near := get_close_matches(word, options, 3, 0.6):
        return f"did you mean {' or '.join(near)}?"
    return f"`{listed}` lists all." if listed else f"there is {', '.join(options) or 'none'}."


def nearest_estimator(word: str, options: Iterable[str]) -> str:
    """The same for estimators, of which there are too many for a sentence."""
    return nearest(word, options, "python -m bench.list")


def nearest_key(key: str, keys: Iterable[str]) -> str:
    """The same for a dotted key, which may also stand in another group."""
    keys = sorted(set(keys))
    near = [k for k in keys if k.split(".")[-1] == key.split(".")[-1]] or get_close_matches(key, keys, 1)
    return f"did you mean {' or '.join(near)}?" if near else "`python -m bench --cfg job` shows all keys."


def memory_lacks(error: BaseException) -> str | None:
    """What has too little memory, where an error of Python, PyTorch's CPU allocator or CUDA says so: GPU or machine."""
    words = str(error) if isinstance(error, RuntimeError) else ""
    if GPU_MEMORY.search(words):
        return "GPU"
    return "machine" if isinstance(error, MemoryError) or CPU_MEMORY.search(words) else None


class CaptureFailed(RuntimeError):
    """The GPU could not record a training step as a graph; the message is one sentence."""


class DataError(ValueError):
    """The data that was asked for cannot be had; the message is one sentence saying what to do."""
