"""The content of `running.json`: which process works, or worked, on a run."""

from typing import Any, NotRequired, TypedDict, TypeGuard


class About(TypedDict):
    """What a claim tells the reader about the run."""

    command: NotRequired[str | None]
    label: NotRequired[str | None]
    steps: NotRequired[int]


class Claim(About):
    """A process, its machine, and its step of the run."""

    host: str
    namespace: NotRequired[str | None]  # in which the process number is valid
    pid: int | None  # None: interrupted
    process: NotRequired[str | None]  # its identity, since process numbers are reused
    started: NotRequired[str]
    step: NotRequired[int]


def whole(found: Any) -> TypeGuard[Claim]:
    """Whether this is a claim with values of the types that `bench.run.attempt.claim` writes."""
    if not isinstance(found, dict):
        return False
    pid = found.get("pid")
    numbers = all(isinstance(found.get(key, 0), int) for key in ("step", "steps"))
    known = pid is None or (type(pid) is int and 0 < pid < 2**31)
    words = all(
        isinstance(found.get(key, ""), str | None) for key in ("process", "namespace", "started", "command", "label")
    )
    return isinstance(found.get("host"), str) and known and numbers and words
