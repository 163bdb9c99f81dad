"""How many jobs run at once, and on which GPU each."""

import os
from typing import Any

from bench.errors import BadInput
from bench.machine import cores


def slots(n_jobs: int | None, gpus: Any, gpu_share: int, threads: int) -> list[str | None]:
    """The `CUDA_VISIBLE_DEVICES` of each job that may run at once; None leaves it as it is.

    Without `n_jobs` there are as many as the cores hold with `threads` each and, with `gpus`, as the GPUs hold with
    `gpu_share` each. Raises BadInput, with one sentence.
    """
    for name, value in (("n_jobs", n_jobs), ("gpu_share", gpu_share)):
        if value is not None and value < 1:
            raise BadInput(f"hydra.launcher.{name} needs a whole number, 1 or more; got {value}.")
    wanted = n_jobs or max(1, cores() // threads)
    if gpus is None:
        return [None] * wanted
    devices = _devices(gpus)
    room = len(devices) * gpu_share
    if n_jobs and n_jobs > room:
        raise BadInput(
            f"hydra.launcher.n_jobs={n_jobs} is more than {len(devices)} GPUs hold with gpu_share={gpu_share}; "
            f"n_jobs={room} and gpu_share={-(-n_jobs // len(devices))} are possible."
        )
    return [devices[i % len(devices)] for i in range(min(wanted, room))]


def _devices(gpus: Any) -> list[str]:
    """Names of GPUs as `CUDA_VISIBLE_DEVICES` has them: those of a list, or the first so many that are visible."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if isinstance(gpus, int) and not isinstance(gpus, bool) and gpus > 0:
        names = visible.split(",") if visible else [str(i) for i in range(gpus)]
        if len(names) < gpus:
            raise BadInput(f"hydra.launcher.gpus={gpus} was asked for and CUDA_VISIBLE_DEVICES has {visible}.")
        return names[:gpus]
    devices = [str(name) for name in gpus] if isinstance(gpus, list) else []
    if not devices or len(set(devices)) < len(devices):
        raise BadInput(f"hydra.launcher.gpus needs how many, or a list such as [0,2] without repetition; got {gpus}.")
    return devices
