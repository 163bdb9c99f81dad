"""What to call a configuration: the estimator's name, and no more than is needed to tell it from its neighbours."""

import json
from collections.abc import Iterable, Sequence
from typing import Any

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
)  # cannot change a result's meaning
PROBLEM = ("problem", "data", "latent", "model", "objective")  # what differs here is another problem, and another panel
TRAJECTORY = ("probe.trajectory",)  # what trained the shared checkpoint at which a run was measured
ABSENT = object()

Config = dict[str, Any]


def flatten(config: dict, prefix: str = "") -> Config:
    """Nested mappings to dotted keys; a list becomes its JSON text."""
    flat: Config = {}
    for key, value in config.items():
        if isinstance(value, dict):
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = json.dumps(value) if isinstance(value, list) else value
    return flat


def under(key: str, roots: Sequence[str]) -> bool:
    """Whether a dotted key is one of the roots or lies below one."""
    return any(key == root or key.startswith(f"{root}.") for root in roots)


def distinguishing(configs: Sequence[Config], keys: Iterable[str]) -> list[str]:
    """The fewest keys, the earliest first, that tell apart what all keys tell apart."""

    def groups(chosen: list[str]) -> int:
        return len({tuple(config.get(key, ABSENT) for key in chosen) for config in configs})

    needed = [key for key in keys if groups([key]) > 1]
    for key in reversed(needed.copy()):
        others = [k for k in needed if k != key]
        if groups(others) == groups(needed):
            needed = others
    return needed


def problem_keys(configs: Sequence[Config]) -> list[str]:
    """The keys that tell apart the problems the configs set."""
    keys = {k for config in configs for k in config if under(k, PROBLEM) and not _ignored(k)}
    return distinguishing(configs, sorted(keys, key=lambda k: (not k.endswith(".name"), k)))


def setting_keys(configs: Sequence[Config]) -> list[str]:
    """The keys that tell apart the problems, and those that tell apart the trajectories of shared checkpoints where the
    estimator that trained them does not."""
    known = [*problem_keys(configs), "probe.trained_with"]
    shared = [config for config in configs if "probe.trained_with" in config]
    keys = sorted({k for config in shared for k in config if under(k, TRAJECTORY) and not _ignored(k)})
    return known[:-1] + [key for key in distinguishing(shared, known + keys) if key not in known]


def label_keys(panels: Sequence[Sequence[Config]]) -> list[str]:
    """The keys that tell apart one estimator's configurations; `panels` holds its configs, a list for each panel.

    A hyper-parameter of the estimator counts wherever it differs, another key only where it differs within a panel: a
    learning rate that goes with the data set says nothing there.
    """
    everything = [config for panel in panels for config in panel]
    keys = {k for config in everything for k in config if not under(k, PROBLEM + TRAJECTORY) and not _ignored(k)}
    own = distinguishing(everything, sorted(k for k in keys if under(k, ["estimator"])))
    others = sorted((k for k in keys if not under(k, ["estimator"])), key=lambda k: (not under(k, ["train"]), k))
    needed = set(own)
    for panel in panels:
        needed |= set(distinguishing(panel, own + others))
    return [k for k in own + others if k in needed]


def describe(config: Config, keys: Sequence[str]) -> str:
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


def _ignored(key: str) -> bool:
    return under(key, IRRELEVANT) or key.endswith("_target_")


def _text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:g}"
    return value if isinstance(value, str) else json.dumps(value).replace("null", "none")
