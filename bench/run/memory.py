"""The memory of a run: its limit, and which keys to lower where it is not enough."""

import traceback
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from bench.config.identity import flatten

resource: ModuleType | None
try:
    import resource
except ImportError:  # Windows
    resource = None

LEAST = 2**30  # bytes that a run may always allocate
CGROUP = Path("/sys/fs/cgroup")
SAMPLES = (
    "k",
    "draws",
    "baseline_draws",
    "limit",
    "nodes",
    "hidden",
)  # arguments of estimators that determine their memory
MODEL = ("model.hidden", "latent.dim", "latent.categories", "latent.positions", "latent.codes", "latent.levels")
POSED = ("problem.dim", "problem.prompts", "problem.length", "problem.vocabulary")
HELPS = (  # module, function, keys; the first entry whose function is in the error's traceback counts
    ("bench.run.images", "", ("evaluate.images", "latent.dim", "latent.codes")),
    ("bench.measure.evaluate", "_prior_sampling", ("evaluate.examples",)),
    ("bench.measure.evaluate", "", ("evaluate.samples", "evaluate.examples")),
    ("bench.run.rows", "evaluated", ("evaluate.examples", "evaluate.samples")),
    ("bench.run.rows", "add_cost", ("train.batch_size", *SAMPLES)),
    ("bench.measure.gradient", "", ("measure.memory", "measure.batch_size", *SAMPLES)),
    ("bench.run.rows", "add_gradient", ("measure.memory", "measure.batch_size", *SAMPLES)),
    ("bench.run.experiment", "_try_estimator", ("measure.batch_size", *SAMPLES)),
    ("bench.run.experiment", "_vae", MODEL),
    ("bench.problems", "", POSED),
    ("bench.data", "probe", ("measure.batches", "measure.batch_size")),
    ("bench.data", "load_dataset", ("data.train_size",)),
    ("bench.data", "made_of", ("data.train_size",)),
    ("bench.train.replicas", "__init__", ("replicas", "train.batch_size", *SAMPLES)),
    ("bench.run.together", "__init__", ("replicas",)),
    ("bench.run.guard", "step", ("train.batch_size", "replicas", *SAMPLES)),
    ("bench.train", "", ("train.batch_size", "replicas", *SAMPLES)),
)
ELSE = ("train.batch_size", "measure.memory", "evaluate.examples", "evaluate.samples", *SAMPLES)


def bound_memory(device: str) -> None:
    """Limit this process to the memory that the machine has left. A run that needs more then ends with a sentence, and
    the system does not kill it or another process.

    There is no limit with a GPU, whose driver reserves memory that it never uses, or if the free memory is not known.
    """
    if resource is None or (free := left()) is None:
        return
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    wanted = hard if device == "cuda" else _held() + max(free, LEAST)
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (wanted, hard))


def what_helps(error: BaseException, config: Mapping[str, Any]) -> list[str]:
    """The keys that determine the memory at the place where the error was raised. With a configuration, only keys that
    it has."""
    passed = [(f.f_globals.get("__name__", ""), f.f_code.co_name) for f, _ in traceback.walk_tb(error.__traceback__)]
    keys: tuple[str, ...] = ELSE
    for module, function, helps in HELPS:
        if any(name.startswith(module) and function in ("", called) for name, called in passed):
            keys = helps
            break
    if not config:
        return [key for key in keys if key not in SAMPLES] + ["the samples of the estimator"] * (SAMPLES[0] in keys)
    held = dict(flatten(config))
    dotted = [f"estimator.{key}" if key in SAMPLES else key for key in keys]
    return [key for key in dotted if key in held and held[key] not in (1, None, [])] or [*ELSE[:1], "model.hidden"]


def left() -> int | None:
    """Bytes that this process may still allocate; None if they are not known."""
    try:
        told = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
        free = sum(int(told[name].split()[0]) * 1024 for name in ("MemAvailable", "SwapFree"))
    except (OSError, ValueError, KeyError):
        return None
    try:
        most, now = (int((CGROUP / name).read_text()) for name in ("memory.max", "memory.current"))
        free = min(free, most - now)
    except (OSError, ValueError):  # no group, or one that is not bounded: "max"
        pass
    return free


def _held() -> int:
    """Bytes of data that this process has allocated."""
    status = Path("/proc/self/status").read_text()
    return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmData"))
