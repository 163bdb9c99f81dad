"""Failures that have a remedy."""

import traceback
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from bench import files
from bench.config.sentences import sentence
from bench.errors import BadInput, Impossible

if TYPE_CHECKING:
    pass


def out_of_memory(error: BaseException) -> str | None:
    """The sentence for an error that says so, in the words of Python, of PyTorch's CPU allocator or of CUDA; or None.

    Cached blocks are given back, so that the next run of the process has them.
    """
    words = str(error)
    gpu = isinstance(error, torch.OutOfMemoryError)
    cpu = isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and "DefaultCPUAllocator" in words)
    if not gpu and not cpu:
        return None
    if torch.cuda.is_initialized():
        torch.cuda.empty_cache()
    return (
        f"Out of memory of the {'GPU' if gpu else 'machine'}: lower train.batch_size, measure.memory, "
        "evaluate.examples or evaluate.samples, or the samples of the estimator."
    )


class TimeLimit(Exception):
    """The run took longer than sweep.time_limit; the message is one sentence."""


def explain(error: Exception) -> str:
    """The reason of a row: one sentence."""
    from bench.run.failures import out_of_memory

    words = " ".join(str(error).split())
    known = sentence(error) or out_of_memory(error)
    return known or (words if isinstance(error, ValueError) else f"{type(error).__name__}: {words}")


def not_started(error: Exception, many: bool) -> tuple[str, str]:
    """Status and reason of one of many runs that this error kept from starting; a single run is refused: it raises."""
    from bench.run.failures import out_of_memory

    if not many and (isinstance(error, ValueError) or out_of_memory(error)):
        raise BadInput(explain(error)) from error
    if not many:
        raise error
    return "skipped" if isinstance(error, Impossible) else "failed", explain(error)


def note_failure(error: Exception, directory: Path) -> str:
    """Write `traceback.txt` of the exception being handled; the reason of the row, one line."""
    directory.mkdir(parents=True, exist_ok=True)
    if isinstance(error, TimeLimit):
        (directory / "traceback.txt").unlink(missing_ok=True)
        return str(error)
    files.replace(directory / "traceback.txt", traceback.format_exc().encode())
    return out_of_memory(error) or f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
