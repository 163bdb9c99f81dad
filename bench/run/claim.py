"""What `running.json` says of whoever works, or worked, on a run."""

from typing import Any, NotRequired, TypedDict, TypeGuard


class About(TypedDict):
    """What a claim says of the run, for whoever reads the file."""

    command: NotRequired[str | None]
    label: NotRequired[str | None]
    steps: NotRequired[int]


class Claim(About):
    """A process, where it is, and how far it is with the run."""

    host: str
    namespace: NotRequired[str | None]  # within which the number means something
    pid: int | None  # None: interrupted
    process: NotRequired[str | None]  # what tells it from all others that have had its number
    started: NotRequired[str]
    step: NotRequired[int]


def whole(found: Any) -> TypeGuard[Claim]:
    """Whether this is a claim, in values of the kinds that `bench.run.attempt.claim` writes."""
    if not isinstance(found, dict):
        return False
    pid = found.get("pid")
    numbers = all(isinstance(found.get(key, 0), int) for key in ("step", "steps"))
    known = pid is None or (type(pid) is int and 0 < pid < 2**31)
    words = all(
        isinstance(found.get(key, ""), str | None) for key in ("process", "namespace", "started", "command", "label")
    )
    return isinstance(found.get("host"), str) and known and numbers and words
