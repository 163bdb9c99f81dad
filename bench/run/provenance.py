"""The provenance of a number: code, versions, device and command."""

import os
import platform
import shlex
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import cast

import torch

from bench import nvml
from bench.files import ROOT
from bench.machine import device_name
from bench.tables.rows import RunRow
from bench.terminal import plain
from bench.version import __version__

COMMIT = "ESTIMATOR_BENCH_COMMIT"  # the variable that names the commit of a copy without .git


@cache
def commit() -> str | None:
    """The git commit of this code, with + if the tree has changes. Outside a git checkout, the value of the environment
    variable `COMMIT`, or None."""

    def git(*words: str) -> str:
        return subprocess.run(["git", "-C", ROOT, *words], capture_output=True, text=True, check=True).stdout.strip()

    named = plain(os.environ.get(COMMIT, "").strip()) or None
    try:
        if Path(git("rev-parse", "--show-toplevel")) != ROOT:
            return named
        return git("rev-parse", "--short=12", "HEAD") + ("+" if git("status", "--porcelain", "-uno") else "")
    except (OSError, subprocess.CalledProcessError):
        return named


def provenance(device: str, threads: int) -> RunRow:
    """The columns of table `runs` on device, versions, commit and command."""
    columns = {
        "device": device,
        "device_name": device_name(device),
        "threads": threads,
        **({"cuda": torch.version.cuda, "cudnn": torch.backends.cudnn.version()} if device == "cuda" else {}),
        **nvml.facts(device),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "suite": __version__,
        "commit": commit(),
        "command": shlex.join(["python", "-m", "bench", *sys.argv[1:]]),
    }
    return cast(RunRow, columns)  # `facts` returns names that are not literals
