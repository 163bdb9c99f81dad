"""The ending of a run, and whether the same command does the run again."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from bench.config.code import made_by
from bench.config.identity import identity
from bench.errors import BadInput, Impossible
from bench.run import attempt
from bench.settings import Config, Described
from bench.tables import store

OTHER, UNRECORDED = "by other code", "before code was recorded"


class Ending(NamedTuple):
    """How a run ended, or its present status. Every layer, from the training loop to the printed line, uses it."""

    status: str  # done | diverged | skipped | failed; running: another process works on it
    reason: str = ""  # one sentence, or ""
    directory: Path | None = None  # of its tables; None: it wrote none
    already: bool = False  # whether the run existed before this command
    step: int | None = None  # of the training, at which it ended; None: not known, or it never began
    label: str = ""  # distinguishes the endings of one command
    seconds: float | None = None  # since the ending before it; None: not timed
    former: str = ""  # the code that made an existing run: OTHER or UNRECORDED; "": the present code, or no such run


def line(label: str, ending: Ending) -> str:
    """The printed line of one ending."""
    took = "" if ending.seconds is None else f" in {ending.seconds:.1f} s"
    status = f"already {ending.status}" if ending.already else f"{ending.status}{took}"
    former = f" ({'made' if ending.already else 'again, since it was made'} {ending.former})" if ending.former else ""
    return f"{label}: {status}{former}{f': {ending.reason}' if ending.reason else ''}"


def earlier(config: Described, directory: Path, retry: str, many: bool) -> Ending | None:
    """How the run ended earlier, or that another process works on it.

    Args:
        config: of the run.
        directory: of the run.
        retry: `sweep.retry` of the command.
        many: whether the run is one of many.

    Returns:
        An ending with `already` if the command leaves the run as it is; an ending without it if other code made the
        run and the command does it again; None if there is no run, or a failed one that is done again.

    Raises:
        BadInput: the run's tables are damaged.
        Impossible: the run was skipped, and is not one of many.
    """
    if other := attempt.worker(directory):  # first, since a process that starts now ends later than the next line
        return Ending("running", f"{other} works on it.", directory, already=True)
    ending = recorded(directory, config)
    if ending is None:
        return None
    if wanted(ending, retry):
        return None if ending.status == "failed" else ending._replace(already=False)
    if ending.status == "skipped" and not many:
        raise Impossible(ending.reason)
    if ending.status != "failed":
        attempt.tidy(directory)
    return ending


def wanted(ending: Ending, retry: str) -> bool:
    """Whether the same command does a run with this ending again, by `sweep.retry` and the code that made the run."""
    if ending.status == "failed":
        return retry != "keep"
    return retry == "changed" and ending.former == OTHER


def former(code: str | None, config: Mapping[str, Any]) -> str:
    """OTHER or UNRECORDED if a run with this digest of its code was not made by the present code; else ""."""
    here = made_by(config)
    return "" if code == here or here is None else OTHER if code else UNRECORDED


def taken(directory: Path, reason: str) -> Ending:
    """The ending of a run that `attempt.claim` refused to this process, with the reason."""
    ended_meanwhile = None if attempt.worker(directory) else recorded(directory)
    return ended_meanwhile or Ending("running", reason, directory, already=True)


def recorded(directory: Path, config: Described | None = None) -> Ending | None:
    """How the complete run in this directory ended, or None. With `config`, also whether other code made it. Damaged
    tables raise BadInput."""
    if not (directory / store.MARKER).is_file():
        return None
    try:
        [row] = store.read_one(directory, "runs", ("status", "reason", "step", "code")).to_pylist()
    except store.SchemaError as error:
        raise BadInput(str(error)) from error
    made = "" if config is None else former(row["code"], config)
    return Ending(row["status"], row["reason"] or "", directory, already=True, step=row["step"], former=made)


def place(config: Config) -> Path:
    """The run directory of a resolved configuration."""
    return Path(config["output"]) / config["name"] / identity(config)


def require_writable(directory: Path) -> None:
    """Raise BadInput if the directory cannot be written."""
    there = next(folder for folder in (directory, *directory.absolute().parents) if os.path.lexists(folder))
    if not there.is_dir() or not os.access(there, os.W_OK):
        writable = "a folder without permission to write" if there.is_dir() else "a file"
        reason = writable if there.exists() else f"a link to {os.readlink(there)}, which is not there"
        raise BadInput(
            f"{directory} cannot be written, since {there} is {reason}; choose another with output=<folder>."
        )
