"""Which run a configuration is: the hash of every value that may change a number."""

import hashlib
import json
import math
from collections.abc import Iterator, Mapping
from typing import Any, cast

from bench.config.rules import RULES
from bench.errors import BadInput
from bench.settings import Config, Described, Seeds
from bench.settings.later import as_before
from bench.tables.schema import SCHEMA

NUMBERS = 4  # raise whenever the same configuration gives other numbers than before


# Where files lie, what a run is called and what of it is drawn, not what it computes:
LABELS = ("option", "name", "output", "evaluate.images",
          "sweep.retry", "sweep.fail_fast", "sweep.time_limit", "sweep.checkpoint_seconds")  # fmt: skip


def flatten(config: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """(dotted key, value) of every leaf; lists are leaves."""
    for key, value in config.items():
        if isinstance(value, dict):
            yield from flatten(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def places(config: Mapping[str, Any]) -> tuple[str, ...]:
    """Keys of the data group that say where files lie; of a class `root` alone, whose other arguments say anything."""
    return ("root",) if "_target_" in (config.get("data") or {}) else ("root", "path", "download")


def identity(config: Described) -> str:
    """12 hexadecimal digits that depend on every value that may change a number, and on nothing else."""
    labels = {*LABELS, *(f"data.{key}" for key in places(config))}
    content = {
        key: value
        for key, value in flatten(typed(config))
        if key not in labels and not key.startswith("hydra.") and not as_before(key, value)
    }
    try:
        text = json.dumps([SCHEMA, NUMBERS, content], sort_keys=True, allow_nan=False)
    except ValueError:
        raise BadInput("A configuration holds finite numbers; this one has an infinity or a NaN.") from None
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def replica(config: Config, number: int) -> Config:
    """The configuration of one of the seeds: `number` more in `seed` and in each of `seeds`."""
    seeds = cast(Seeds, {stream: seed + number for stream, seed in flatten(config["seeds"])})
    return config | {"seed": config["seed"] + number, "seeds": seeds}


def typed(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    return {key: typed(value, f"{prefix}{key}.") if isinstance(value, dict) else _cast(f"{prefix}{key}", value)
            for key, value in config.items()}  # fmt: skip


def _cast(key: str, value: Any) -> Any:
    if isinstance(value, list):
        return [_cast(key, item) for item in value]
    wanted = key in RULES and RULES[key].kind is float and isinstance(value, int | float)
    if not wanted or isinstance(value, bool) or not finite(value):
        return value
    return float(value) + 0.0  # -0.0 is 0.0


def finite(number: float) -> bool:
    """Whether it is a float, or a whole number that is one."""
    try:
        return math.isfinite(number)
    except OverflowError:
        return False
