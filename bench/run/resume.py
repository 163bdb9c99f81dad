"""The file `resume.pt`, from which the same command continues a run, so that all later numbers are the same to the bit.

It holds tensors, numbers and text, with a digest of them. Reading it runs no code that it may contain. It is used only
for the run, by the code and with the PyTorch that wrote it; otherwise one line says why it is ignored.
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
    """Write tensors, numbers and text. The file appears whole or not at all. An unwritable folder raises OSError."""
    directory.mkdir(parents=True, exist_ok=True)
    replace(directory / RESUME, sealed(_made_with(config) | {"content": content}))


def read_state(directory: Path, config: Config) -> dict[str, Any] | None:
    """The content that `write_state` wrote for the same run, code and PyTorch; else None. A file that does not fit is
    reported on standard error."""
    path = directory / RESUME
    try:
        found = opened(foreign.content(path))
        for key, wanted in _made_with(config).items():
            if found.get(key) != wanted:
                raise ValueError(f"it is of another {key}: {found.get(key)}, where {wanted} is needed")
        return found["content"]
    except FileNotFoundError:
        return None
    except Exception as error:  # any error of the file system, the unpickler or the content
        ignore(path, error)
        return None


def ignore(path: Path, error: Exception) -> None:
    """Print why `resume.pt` is not used."""
    reason = error if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"
    print(f"{path} is not used, since {' '.join(str(reason).split())}; the run starts anew.", file=sys.stderr)


def _made_with(config: Config) -> dict[str, str | None]:
    """What must be the same when a run is continued. The identity includes the versions of the numbers."""
    made_with = {"format": FORMAT, "run": identity(config), "torch": str(torch.__version__), "suite": __version__}
    return made_with | {"code": made_by(config)}
