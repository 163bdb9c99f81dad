"""The file `resume.pt`: where the same command continues a run, so that every later number is the same bit for bit.

It holds tensors, numbers and text behind a digest of them, and reading it runs no code that it may contain. It is for
the run, the code and the PyTorch that wrote it; anything else is told in one line and not used.
"""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from bench import foreign
from bench.config.code import made_by
from bench.config.identity import identity
from bench.files import replace
from bench.run.attempt import RESUME
from bench.run.sealed import opened, sealed
from bench.settings import Config
from bench.version import __version__

FORMAT = "estimator-bench resume 2"


def write_state(directory: Path, config: Config, content: Mapping[str, Any]) -> None:
    """Write tensors, numbers and text, whole or not at all. Raises OSError where that is not possible."""
    directory.mkdir(parents=True, exist_ok=True)
    replace(directory / RESUME, sealed(_made_with(config) | {"content": content}))


def read_state(directory: Path, config: Config) -> dict[str, Any] | None:
    """What `write_state` wrote for the same run, code and PyTorch; else None, and a line on standard error if there is
    a file."""
    path = directory / RESUME
    try:
        found = opened(foreign.content(path))
        for key, wanted in _made_with(config).items():
            if found.get(key) != wanted:
                raise ValueError(f"it is of another {key}: {found.get(key)}, where {wanted} is needed")
        return found["content"]
    except FileNotFoundError:
        return None
    except Exception as error:  # whatever the file system, the unpickler or the content objects to
        ignore(path, error)
        return None


def ignore(path: Path, error: Exception) -> None:
    """Print why `resume.pt` is not used."""
    reason = error if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"
    print(f"{path} is not used, since {' '.join(str(reason).split())}; the run starts anew.", file=sys.stderr)


def _made_with(config: Config) -> dict[str, str | None]:
    """What a continued run must have in common with its beginning. The identity has the versions of the numbers."""
    made_with = {"format": FORMAT, "run": identity(config), "torch": str(torch.__version__), "suite": __version__}
    return made_with | {"code": made_by(config)}
