"""Which engines this machine can execute."""

import importlib.util
import os
import shutil
import sys

from bench.errors import BadInput


def check_engine(engine: str, *, on_cpu: bool) -> None:
    """Raise BadInput where the engine needs a GPU or a compiler that is not there."""
    if engine in ("graph", "compiled_graph") and on_cpu:
        raise BadInput(
            f"engine={engine} records CUDA graphs, and this run is on the CPU; engine=eager or engine=compile runs."
        )
    if engine in ("compile", "compiled_graph") and not compiles(on_cpu):
        needed = "a C++ compiler" if on_cpu else "Triton"
        raise BadInput(f"engine={engine} needs {needed}, and this machine has none; engine=eager runs.")


def compiles(on_cpu: bool) -> bool:
    """Whether what torch.compile needs is there."""
    if on_cpu:
        named = os.environ.get("CXX", "clang++" if sys.platform == "darwin" else "g++")
        return shutil.which(named) is not None or sys.platform == "win32"  # where it is found otherwise
    return importlib.util.find_spec("triton") is not None
