"""Failures and their reasons: out of memory, a lost GPU, a time limit."""

import traceback
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch

from bench import files
from bench.config.sentences import sentence
from bench.errors import BadInput, CaptureFailed, Impossible, memory_lacks
from bench.run.ending import Ending
from bench.run.memory import what_helps

lost_gpu: list[str] = []  # the first line of the error that made the GPU unusable for this process


def out_of_memory(error: BaseException, config: Mapping[str, Any] | None = None) -> str | None:
    """The sentence for an error of Python, PyTorch's CPU allocator or CUDA that means out of memory; else None.

    It names the configuration keys whose smaller values would help at the place where the error was raised. PyTorch's
    cached blocks are released, so that the next run of the process can use them.
    """
    short = memory_lacks(error)
    if short is None:
        return None
    if torch.cuda.is_initialized():
        with suppress(RuntimeError):  # a GPU that is lost, too
            torch.cuda.empty_cache()
    return f"Out of memory of the {short}: lower {' or '.join(what_helps(error, config or {}))}."


def look_at_gpu(error: BaseException) -> None:
    """Record in `lost_gpu` whether this error has made the GPU unusable for the rest of the process.

    An illegal memory access does: after it every later call fails. A graph that could not be recorded counts too.
    """
    if lost_gpu or not isinstance(error, RuntimeError) or not torch.cuda.is_initialized():
        return
    if isinstance(error, CaptureFailed):  # PyTorch's allocator and random generator stay in capture mode
        lost_gpu.append("a graph was given up half recorded")
        return
    try:
        torch.cuda.synchronize()
    except RuntimeError:
        lost_gpu.append(str(error).splitlines()[0].rstrip("."))


def require_gpu() -> None:
    """Raise BadInput if an earlier run of this process has lost the GPU."""
    if lost_gpu:
        raise BadInput(
            f"An earlier run left this process without its GPU ({lost_gpu[0]}); the same command runs it in a new one, "
            "and hydra/launcher=pool gives every run its own."
        )


class TimeLimit(Exception):
    """The run took longer than sweep.time_limit; the message is one sentence."""


def explain(error: Exception, config: Mapping[str, Any] | None = None) -> str:
    """The error as one sentence, which becomes the reason in a row."""
    look_at_gpu(error)
    words = " ".join(str(error).split())
    known = sentence(error) or out_of_memory(error, config)
    return known or (words if isinstance(error, ValueError) else f"{type(error).__name__}: {words}")


def not_started(error: Exception, many: bool, config: Mapping[str, Any] | None = None) -> Ending:
    """The ending of a run that could not start because of this error: `skipped` or `failed`.

    Args:
        error: the error.
        many: whether the run is one of many. A single run is refused instead.
        config: of the run.

    Raises:
        BadInput: a single run, and an error that the user can mend. Other errors are raised again.
    """
    if not many and (isinstance(error, ValueError) or out_of_memory(error)):
        raise BadInput(explain(error, config)) from error
    if not many:
        raise error
    return Ending("skipped" if isinstance(error, Impossible) else "failed", explain(error, config))


def keep_traceback(error: BaseException, directory: Path) -> None:
    """Write `traceback.txt` of a run that could not start, unless its reason is all that the exception says."""
    if not isinstance(error, ValueError) or str(error.__cause__ or error) != str(error):
        files.replace(directory / "traceback.txt", "".join(traceback.format_exception(error)).encode())


def note_failure(error: Exception, directory: Path, config: Mapping[str, Any] | None = None) -> str:
    """Write `traceback.txt` of the exception being handled. Returns the reason for the row, one line."""
    directory.mkdir(parents=True, exist_ok=True)
    if isinstance(error, TimeLimit):
        (directory / "traceback.txt").unlink(missing_ok=True)
        return str(error)
    files.replace(directory / "traceback.txt", traceback.format_exc().encode())
    look_at_gpu(error)
    if told := out_of_memory(error, config):
        return told
    if isinstance(error, CaptureFailed):
        return str(error)
    return f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
