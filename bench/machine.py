"""Who shares the machine with a job: told by its launcher, asked by the clocks."""

import os
import platform
from functools import cache
from pathlib import Path

import torch

from bench.cores import cores
from bench.errors import BadInput

THREADS = 16  # do no harm on any machine
JOBS, GPU_JOBS = "ESTIMATOR_BENCH_JOBS", "ESTIMATOR_BENCH_GPU_JOBS"  # at once: on these cores, on one GPU


def told(jobs: int, gpu_jobs: int) -> dict[str, str]:
    """The environment that tells a job how many run at once on these cores, and how many on its GPU."""
    return {JOBS: str(jobs), GPU_JOBS: str(gpu_jobs)}


def require_threads(threads: int) -> None:
    """Raise BadInput at many more threads than cores, of which each takes memory and time from the others."""
    if threads > (most := max(cores(), THREADS)):
        raise BadInput(
            f"threads={threads} is too many for the {cores()} cores of this machine; up to {most} can be had."
        )


def undisturbed(threads: int, device: str) -> bool:
    """Whether a timing means something: threads x jobs at once <= cores, and a GPU has one job."""
    jobs, gpu_jobs = (int(os.environ.get(name, 1)) for name in (JOBS, GPU_JOBS))
    return threads * jobs <= cores() and (device != "cuda" or gpu_jobs == 1)


def visible_gpus() -> list[str]:
    """The GPUs that this process may use, by the names that `CUDA_VISIBLE_DEVICES` has or would have for them."""
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    count = torch.cuda.device_count()
    return [str(i) for i in range(count)] if named is None else [n.strip() for n in named.split(",")][:count]


def wait(device: torch.device) -> None:
    """Let the device finish what it was asked for; the CPU always has."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


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
