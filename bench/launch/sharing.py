"""Who shares the machine with a job: told by its launcher, asked by the clocks."""

import os

JOBS, GPU_JOBS = "ESTIMATOR_BENCH_JOBS", "ESTIMATOR_BENCH_GPU_JOBS"  # at once: on these cores, on one GPU


def told(jobs: int, gpu_jobs: int) -> dict[str, str]:
    """The environment that tells a job how many run at once on these cores, and how many on its GPU."""
    return {JOBS: str(jobs), GPU_JOBS: str(gpu_jobs)}


def undisturbed(threads: int, device: str) -> bool:
    """Whether a timing means something: threads x jobs at once <= cores, and a GPU has one job."""
    jobs, gpu_jobs = (int(os.environ.get(name, 1)) for name in (JOBS, GPU_JOBS))
    return threads * jobs <= len(os.sched_getaffinity(0)) and (device != "cuda" or gpu_jobs == 1)
