"""Where a number comes from: code, versions, device and command."""

import platform
import shlex
import subprocess
import sys
from functools import cache
from pathlib import Path

import torch

import bench


@cache
def commit() -> str | None:
    """The git commit of the tree this code lies in, with + where the tree was changed; None outside a checkout."""

    def git(*words: str) -> str:
        here = Path(__file__).resolve().parents[1]
        return subprocess.run(["git", "-C", here, *words], capture_output=True, text=True, check=True).stdout.strip()

    try:
        if Path(git("rev-parse", "--show-toplevel")) != Path(__file__).resolve().parents[1]:
            return None
        return git("rev-parse", "--short=12", "HEAD") + ("+" if git("status", "--porcelain", "-uno") else "")
    except (OSError, subprocess.CalledProcessError):
        return None


@cache
def device_name(device: str) -> str:
    """What the device calls itself."""
    if device == "cuda":
        return torch.cuda.get_device_name()
    if (info := Path("/proc/cpuinfo")).exists():
        lines = [line for line in info.read_text().splitlines() if line.startswith("model name")]
        if lines:
            return lines[0].partition(":")[2].strip()
    return platform.processor() or platform.machine()


def provenance(device: str, threads: int) -> dict:
    """Columns of `runs` that say what computed it."""
    return {
        "device": device,
        "device_name": device_name(device),
        "threads": threads,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "suite": bench.__version__,
        "commit": commit(),
        "command": shlex.join(["python", "-m", "bench", *sys.argv[1:]]),
    }
