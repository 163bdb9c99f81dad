"""The device of a run: how many threads, and whether there is a GPU left to use."""

from typing import Any

import torch

from bench.run.failures import require_gpu


def set_up(config: dict[str, Any]) -> None:
    """Set what belongs to the whole process, before anything of the run is on the device.

    Raises:
        BadInput: an earlier run of this process has lost the GPU.
    """
    torch.set_num_threads(config["threads"])
    if config["device"] == "cuda":
        require_gpu()
