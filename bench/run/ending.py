"""How a run ended, and whether it is to be run at all: the same command leaves what is there."""

import os
from pathlib import Path
from typing import Any, NamedTuple

from bench.config.identity import identity
from bench.errors import BadInput, Impossible
from bench.run import attempt
from bench.tables import store


class Finished(NamedTuple):
    """How a job ended, where its tables are (None: it wrote none), and whether they were there before."""

    directory: Path | None
    status: str
    reason: str
    already: bool = False
    what: str = ""  # what it is called within its job, where the job has several
    seconds: float | None = None  # that it took together with others; None: since the one before


def line(label: str, finished: Finished, seconds: float) -> str:
    """What is printed of one ending."""
    status = f"already {finished.status}" if finished.already else f"{finished.status} in {seconds:.1f} s"
    return f"{label}: {status}{f': {finished.reason}' if finished.reason else ''}"


def already(config: dict[str, Any], directory: Path, many: bool) -> Finished | None:
    """How the run ended earlier, or that another process works on it; None where it is to be run.

    Raises:
        BadInput: what lies there is damaged.
        Impossible: it was skipped, and is not one of many.
    """
    if other := attempt.worker(directory):  # asked first: whoever comes after this takes longer than the next line
        return Finished(directory, "running", f"{other} works on it.", already=True)
    earlier = earlier_run(directory)
    if earlier is None or (earlier.status == "failed" and config["sweep"]["retry"] != "none"):
        return None
    if earlier.status == "skipped" and not many:
        raise Impossible(earlier.reason)
    if earlier.status != "failed":
        attempt.tidy(directory)
    return earlier


def place(config: dict[str, Any]) -> Path:
    """The run directory of a resolved configuration."""
    return Path(config["output"]) / config["name"] / identity(config)


def earlier_run(directory: Path) -> Finished | None:
    """How the complete run in this directory ended, or None where there is none. BadInput where it is damaged."""
    if not (directory / store.MARKER).is_file():
        return None
    try:
        [row] = store.read_one(directory, "runs").to_pylist()
    except store.SchemaError as error:
        raise BadInput(str(error)) from error
    return Finished(directory, row["status"], row["reason"] or "", already=True)


def require_writable(directory: Path) -> None:
    """BadInput where nothing can be written there."""
    there = next(folder for folder in (directory, *directory.absolute().parents) if os.path.lexists(folder))
    if not there.is_dir() or not os.access(there, os.W_OK):
        writable = "a folder without permission to write" if there.is_dir() else "a file"
        reason = writable if there.exists() else f"a link to {os.readlink(there)}, which is not there"
        raise BadInput(
            f"{directory} cannot be written, since {there} is {reason}; choose another with output=<folder>."
        )


class Outcome(NamedTuple):
    status: str  # done | diverged | skipped | failed; running, where another process works on it
    reason: str  # one sentence, or ""
