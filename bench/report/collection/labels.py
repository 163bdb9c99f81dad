"""What to call a configuration: the estimator's name, and no more than is needed to tell it from its neighbours."""

import json
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from bench.settings.later import LATER

SEEDS = ("seed", "seeds", "probe.trajectory.seeds")
IRRELEVANT = (
    *SEEDS,
    "name",
    "output",
    "sweep",
    "hydra",
    "timing",
    "evaluate.images",
    "data.root",
    "probe.digest",
    "option",
)  # cannot change a result's meaning
PROBLEM = ("problem", "data", "latent", "model", "objective")  # what differs here is another problem, and another panel
TRAJECTORY = ("probe.trajectory",)  # what trained the shared checkpoint at which a run was measured
PRECISION = (
    "measure.draws",
    "measure.batches",
    "measure.precision",
    "measure.max_draws",
    "measure.reference",
    "measure.reference_draws",
    "measure.memory",
    "measure.layers",
    "measure.papers",
    "evaluate.examples",
    "evaluate.prior_samples",
)  # how precisely something is measured, and what else is: numbers that differ in these alone may be compared
ABSENT = object()
KINDS: dict[str, Any] = {  # of what the report computes with
    "probe": dict, "probe.trained_with": str, "probe.step": int, "estimator": dict, "latent.temperature": (int, float),
}  # fmt: skip

FlatConfig = dict[str, Any]


def flatten(config: Mapping[str, Any], prefix: str = "") -> FlatConfig:
    """Nested mappings to dotted keys; a list becomes its JSON text."""
    flat: FlatConfig = {}
    for key, value in config.items():
        if isinstance(value, dict):
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = json.dumps(value) if isinstance(value, list) else value
    return flat


def check(config: Any) -> None:
    """Raise ValueError, with the odd value, unless this may be the configuration of a run of any version."""
    if not isinstance(config, dict):
        raise ValueError("it is no mapping")
    flat = flatten(config)
    own = [f"{group}." for group in PROBLEM if f"{group}._target_" in flat]  # whose keys are those of a class
    for key, value in flat.items():
        if (
            key in KINDS
            and not key.startswith((*own,))
            and (isinstance(value, bool) or not isinstance(value, KINDS[key]))
        ):
            raise ValueError(f"{key} is {value!r}")


def held(config: FlatConfig, key: str) -> Any:
    """The value of a key; where a run is older than the key, the value that all of its time had."""
    return config.get(key, LATER.get(key, ABSENT))


@lru_cache(100_000)
def under(key: str, roots: tuple[str, ...]) -> bool:
    """Whether a dotted key is one of the roots or lies below one."""
    return any(key == root or key.startswith(f"{root}.") for root in roots)


def distinguishing(configs: Sequence[FlatConfig], keys: Iterable[str]) -> list[str]:
    """The fewest keys, the earliest first, that tell apart what all keys tell apart."""

    def groups(chosen: list[str]) -> int:
        return len({tuple(held(config, key) for key in chosen) for config in configs})

    needed = [key for key in keys if groups([key]) > 1]
    for key in reversed(needed.copy()):
        others = [k for k in needed if k != key]
        if groups(others) == groups(needed):
            needed = others
    return needed


def problem_keys(configs: Sequence[FlatConfig]) -> list[str]:
    """The keys that tell apart the problems the configs set."""
    keys = {k for k in _keys(configs) if under(k, PROBLEM)}
    return distinguishing(configs, sorted(keys, key=lambda k: (not k.endswith(".name"), k.endswith(".digest"), k)))


def setting_keys(configs: Sequence[FlatConfig]) -> list[str]:
    """The keys that tell apart the problems, and those that tell apart the trajectories of shared checkpoints where the
    estimator that trained them does not."""
    known = [*problem_keys(configs), "probe.trained_with"]
    shared = [config for config in configs if "probe.trained_with" in config]
    keys = sorted(k for k in _keys(shared) if under(k, TRAJECTORY))
    return known[:-1] + [key for key in distinguishing(shared, known + keys) if key not in known]


def differing(configs: Sequence[FlatConfig], keys: Iterable[str]) -> list[str]:
    """The keys that differ between the configs, apart from those that have an earlier key's value in every config."""
    columns: dict[tuple[Any, ...], str] = {}
    for key in keys:
        values = tuple(held(config, key) for config in configs)
        if len(set(values)) > 1:
            columns.setdefault(values, key)
    return list(columns.values())


def condition_keys(configs: Sequence[FlatConfig]) -> list[str]:
    """The keys that differ and belong neither to the problem nor to the estimator: training, machine, measurement."""
    keys = {k for k in _keys(configs) if not under(k, (*PROBLEM, *TRAJECTORY, "estimator"))}
    return differing(configs, sorted(keys, key=lambda k: (not under(k, ("train",)), k)))


def unequal_keys(configs: Sequence[FlatConfig]) -> list[str]:
    """The keys in which configs of one panel were trained or measured differently, where that is not what was varied.

    A key is varied on purpose where every configuration of an estimator has the same values of all such keys. The
    numbers of configs that differ in the keys that remain must not be ranked against each other.
    """
    keys = [key for key in condition_keys(configs) if not under(key, PRECISION)]
    values: dict[tuple[Any, ...], set[tuple[Any, ...]]] = {}
    for config in configs:
        estimator = tuple(sorted((k, v) for k, v in config.items() if under(k, ("estimator",))))
        values.setdefault(estimator, set()).add(tuple(held(config, key) for key in keys))
    return [] if len(set(map(frozenset, values.values()))) == 1 else keys


def label_keys(panels: Sequence[Sequence[FlatConfig]], whole_panels: Sequence[Sequence[FlatConfig]] = ()) -> list[str]:
    """The keys that tell apart one estimator's configurations, and all others that differ within a panel.

    A hyper-parameter of the estimator counts wherever it differs, another key only where it differs within a panel: a
    learning rate that goes with the data set says nothing there.

    Args:
        panels: the estimator's configs, a list for each panel.
        whole_panels: the configs of all estimators in these panels.
    """
    everything = [config for panel in panels for config in panel]
    keys = sorted(k for k in _keys(everything) if under(k, ("estimator",)))
    needed = distinguishing(everything, keys)
    for panel in [*panels, *whole_panels]:
        needed += [key for key in condition_keys(panel) if key not in needed]
    return needed


def describe(config: FlatConfig, keys: Sequence[str]) -> str:
    """`k=2 lr=0.01`: the last word of each key where that is unambiguous; of a key `*.name` the value alone."""
    words = [key.rpartition(".")[2] for key in keys]
    parts = []
    for key, word in zip(keys, words, strict=True):
        value = config.get(key, ABSENT)
        if value is ABSENT:
            continue
        if word == "name":
            parts.append(_text(value))
        else:
            parts.append(f"{word if words.count(word) == 1 else key.removeprefix('estimator.')}={_text(value)}")
    return " ".join(parts)


def _keys(configs: Iterable[FlatConfig]) -> set[str]:
    """Of all configs, those that may change a result's meaning."""
    return {key for key in set().union(*configs) if not _ignored(key)}


def _ignored(key: str) -> bool:
    return under(key, IRRELEVANT) or key.endswith("_target_")


def _text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:g}"
    return value if isinstance(value, str) else json.dumps(value).replace("null", "none")
