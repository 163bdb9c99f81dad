"""`python -m bench.gpu.versions`: print the versions of software and hardware as JSON."""

import importlib.metadata
import json
import platform
import sys
from typing import Any

import torch

from bench import nvml
from bench.machine import device_name
from bench.run.provenance import commit

NEEDED = (
    "hydra-core", "omegaconf", "antlr4-python3-runtime", "PyYAML", "packaging", "numpy", "pandas", "pyarrow", "scipy",
    "scikit-learn", "matplotlib", "seaborn", "rich", "jinja2", "nvidia-ml-py", "pytest", "hypothesis",
)  # fmt: skip


def versions() -> dict[str, Any]:
    """The versions of Python, PyTorch, CUDA, the driver and all required packages; None for what is missing."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    found: dict[str, Any] = {"commit": commit(), "device": device, "device_name": device_name(device)}
    found |= {"python": platform.python_version(), "torch": torch.__version__, "cuda": torch.version.cuda}
    found |= {"cudnn": torch.backends.cudnn.version(), **nvml.facts(device), **nvml.state(device)}
    for name in NEEDED:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = None
    return found


def main(argv: list[str] | None = None) -> int:
    """Print the versions. There are no arguments."""
    print(json.dumps(versions(), indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
