"""How many jobs run at once, and on which GPU each."""

from typing import Any

from bench.cores import cores
from bench.errors import BadInput
from bench.machine import visible_gpus


def slots(n_jobs: int | None, gpus: Any, gpu_share: int, threads: int, device: str = "cpu") -> list[str | None]:
    """The `CUDA_VISIBLE_DEVICES` of each job that may run at once; None leaves it as it is.

    Without `n_jobs` there are as many as the cores hold with `threads` each and, with GPUs, as these hold with
    `gpu_share` each. Without `gpus`, jobs whose `device` is not the CPU take all that are visible, since a GPU that
    two jobs share gives no valid timing; with `n_jobs` they all see all. Raises BadInput, with one sentence.
    """
    for name, value in (("n_jobs", n_jobs), ("gpu_share", gpu_share)):
        if value is not None and value < 1:
            raise BadInput(f"hydra.launcher.{name} needs a whole number, 1 or more; got {value}.")
    wanted = n_jobs or max(1, cores() // threads)
    if gpus is None:
        devices = visible_gpus() if n_jobs is None and device != "cpu" else []
        if not devices:
            return [None] * wanted
    else:
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
    if isinstance(gpus, int) and not isinstance(gpus, bool) and gpus > 0:
        devices, there = [], visible_gpus()
        if gpus <= len(there):
            return there[:gpus]
    else:
        devices = [str(name) for name in gpus] if isinstance(gpus, list) else []
        if not devices or len(set(devices)) < len(devices):
            raise BadInput(
                f"hydra.launcher.gpus needs how many, or a list such as [0,2] without repetition; got {gpus}."
            )
        there = visible_gpus()
        # The system knows a GPU by other names too, but one that is not there by no number.
        if there and not [name for name in devices if name.isdigit() and name not in there]:
            return devices
    has = f"only {', '.join(there)}" if there else "none"
    raise BadInput(
        f"hydra.launcher.gpus={str(gpus).replace(' ', '')} was asked for and this machine shows {has}; "
        "gpus=null and device=cpu run without."
    )
