"""The device of a run: threads, precision of matrix products, and whether the GPU is usable."""

import os

import torch

from bench.machine import require_threads
from bench.run.failures import require_gpu
from bench.run.memory import bound_memory
from bench.settings import Config


def set_up(config: Config) -> None:
    """Set the options of the whole process, before any tensor of the run is on the device.

    Raises:
        BadInput: an earlier run of this process has lost the GPU, or there are far more threads than cores.
    """
    require_threads(config["threads"])
    bound_memory(config["device"])
    torch.set_num_threads(config["threads"])
    tf32 = config["precision"] == "tf32"
    torch.set_float32_matmul_precision("high" if tf32 else "highest")
    torch.backends.cudnn.allow_tf32 = tf32  # on by default
    if config["deterministic"]:
        os.environ.setdefault(
            "CUBLAS_WORKSPACE_CONFIG", ":4096:8"
        )  # which PyTorch asks for; read with the first product
    torch.use_deterministic_algorithms(config["deterministic"])
    if config["device"] == "cuda":
        require_gpu()
