"""The library of the pretended device, compiled once, and processes that have it."""

import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

SOURCE = Path(__file__).with_name("device.cpp")
VARIABLE = "PRETENDED_GPU"
NO_COMPILER = "needs a C++ compiler on Linux, and this machine has none"


def compiled(folder: Path) -> Path | None:
    """The library for this source and this PyTorch, kept in a folder; None where it cannot be compiled."""
    compiler = shutil.which("c++") or shutil.which("g++")
    if sys.platform != "linux" or compiler is None:
        return None
    digest = hashlib.sha256(SOURCE.read_bytes() + version("torch").encode()).hexdigest()[:12]
    made = folder / f"device_{digest}.so"
    if not made.exists():
        found = importlib.util.find_spec("torch")
        assert found is not None
        assert found.origin is not None
        torch = Path(found.origin).parent
        include, lib = torch / "include", torch / "lib"
        part = made.with_suffix(f".{os.getpid()}.part")
        words = [compiler, "-O0", "-w", "-std=c++20", "-shared", "-fPIC", f"-I{include}", str(SOURCE), f"-L{lib}"]
        words += [f"-I{include}/torch/csrc/api/include", "-ltorch_cpu", "-lc10", f"-Wl,-rpath,{lib}", "-o", str(part)]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        part.replace(made)
    return made


def run(cache: pytest.Cache, function: str, *args: Any, timeout: float = 120) -> Any:
    """What `function`, "module:name" of this folder, returns for these arguments on the pretended GPU; both as JSON.
    Skips where there is no compiler."""
    if (made := compiled(cache.mkdir("pretended_gpu"))) is None:
        pytest.skip(NO_COMPILER)
    words = [sys.executable, "-m", "tests.support.pretended.call", function, json.dumps(args)]
    environment = os.environ | {VARIABLE: str(made), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=timeout, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    return json.loads(done.stdout.splitlines()[-1])
