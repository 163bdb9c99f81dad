"""What a configuration may be, and which run it is: the checks before anything is computed, and the identity.

The estimator's hyper-parameters are checked by its constructor's signature (`bench.plugins`), all else by `RULES`.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from bench.config.classes import OF_CLASSES, PARTS, SHARED
from bench.config.combined import check_precision, check_reference, check_training
from bench.config.engines import check_engine
from bench.config.identity import finite, flatten, typed
from bench.config.images import check_images, plain_layers
from bench.config.rules import MANY, RULES, Rule
from bench.data.digest import digest
from bench.errors import BadInput, UnknownKey, nearest, nearest_key
from bench.settings import Config

EXACT_BELOW = 2**53  # whole numbers below are exact in every format that holds them, and seeds of every generator
MEMORY = {"cpu": 256, "cuda": 4096}  # MiB; fixed, since noise is drawn by the chunk


def prepare(config: Mapping[str, Any]) -> Config:
    """The configuration with its device decided, the estimator's defaults filled in, and every value of its type.

    Raises BadInput where `check` does.
    """
    from bench.config import parts, plugins

    prepared = typed(config) | {"estimator": plugins.complete(config.get("estimator"))}
    prepared |= {group: parts.complete(group, prepared[group]) for group in parts.brought(prepared)}
    check(prepared)
    data, latent = ({} if "_target_" in (held := prepared.get(g, {})) else held for g in ("data", "latent"))
    if "path" in data:
        prepared["data"] = _found(data)
    if prepared["device"] == "auto":
        prepared["device"] = "cuda" if has_cuda() else "cpu"
    if prepared["precision"] != "highest" and prepared["device"] == "cpu":
        raise BadInput(
            f"precision={prepared['precision']} is of a GPU's float32 products, and this run is on the CPU; "
            "precision=highest runs."
        )
    if latent.get("layers"):  # one layer is a latent of that size
        layers = plain_layers(latent)
        latent |= {"dim": layers[0], "layers": layers if len(layers) > 1 else None}
    if latent.get("stages") == 1:  # which leaves nothing to a second
        latent |= {"residual_detach": True}
    return on_device(cast(Config, prepared), prepared["device"])


def _found(data: dict[str, Any]) -> dict[str, Any]:
    """The `data` group with the digest of what is behind its path, so that changed images are another run."""
    found = digest(Path(data["root"]).expanduser() / data["path"])
    if data["digest"] not in (None, found):
        raise BadInput(f"data.digest={data['digest']} is not that of data.path={data['path']}, which is {found}.")
    return data | {"digest": found}


def on_device(config: Config, device: str) -> Config:
    """The configuration on this device, with what it leaves to the device decided."""
    measure = config["measure"]
    memory = MEMORY[device] if measure["memory"] is None else measure["memory"]
    return config | {"device": device, "measure": measure | {"memory": memory}}


def check(config: Mapping[str, Any]) -> None:
    """Raise BadInput, with one sentence, at the first key that is unknown, missing, or holds what it cannot."""
    classes = ["estimator", *(group for group in PARTS if "_target_" in (config.get(group) or {}))]
    every, rules = {**dict(flatten(config))}, {**RULES}
    for group in classes:  # whose other keys are those of a constructor, and of the type it declares
        rules = {k: r for k, r in rules.items() if k in SHARED or not k.startswith(f"{group}.")}
        rules |= {k: r for k, r in OF_CLASSES.items() if k.startswith(f"{group}.")}
    leaves = {k: value for k, value in every.items() if k in rules or k.partition(".")[0] not in classes}
    check_keys(leaves, rules)
    for key, value in ((k, value) for k, value in every.items() if k not in leaves):
        for number in value if isinstance(value, list) else [value]:
            if isinstance(number, int | float) and (not finite(number) or abs(number) >= EXACT_BELOW):
                raise BadInput(f"{key} needs a finite number below {EXACT_BELOW}; got {value!r}.")
            if isinstance(number, int) and abs(number) > MANY:
                raise BadInput(f"{key} needs a whole number up to {MANY}; got {value!r}.")
            if isinstance(number, str) and not text(number):
                raise BadInput(f"{key} needs text that is UTF-8 and has no zero byte; got {value!r}.")
    for key in ("seed", *(f"seeds.{stream}" for stream in config["seeds"])):
        if (last := leaves[key] + leaves["replicas"] - 1) >= EXACT_BELOW:
            raise BadInput(
                f"replicas={leaves['replicas']} would take {key} up to {last}, which must be below {EXACT_BELOW}."
            )
    check_training(leaves)
    check_images(leaves)
    check_reference(leaves["measure.reference"])
    check_precision(leaves)
    if leaves["device"] == "cuda" and not has_cuda():
        raise BadInput("device=cuda was asked for and this machine has no CUDA device; device=cpu or device=auto runs.")
    engine = leaves["engine"]
    check_engine(engine, on_cpu=engine != "eager" and (leaves["device"] == "cpu" or not has_cuda()))


def check_keys(leaves: Mapping[str, Any], rules: Mapping[str, Rule]) -> None:
    """Raise BadInput at the first dotted key that the rules do not have, or whose value they refuse."""
    known = {k: r for k, r in rules.items() if r.only is None or leaves.get(r.only[0]) in r.only[1:]}
    for key, value in leaves.items():
        if key not in known:
            if key in rules and (owner := rules[key].only):
                raise BadInput(f"{key} belongs to {owner[0]}={' or '.join(owner[1:])}, not {leaves.get(owner[0])}.")
            if inside := [k for k in known if k.startswith(f"{key}.")]:
                raise BadInput(f"{key} holds keys, such as {inside[0]}; got {value!r}.")
            groups = () if "." in key else ("estimator", *PARTS, *(name.partition(".")[0] for name in known))
            raise UnknownKey(f"There is no key {key}: {nearest_key(key, [*known, *groups])}")
        check_value(key, value, known[key])
    if missing := [key for key in known if key not in leaves and key != "option"]:
        raise BadInput(f"The key {missing[0]} is missing; it needs {known[missing[0]].expected}.")


def check_value(key: str, value: Any, rule: Rule) -> None:
    """Raise BadInput where the rule refuses the value of this key."""
    if value is None and rule.optional:
        return
    if rule.many != isinstance(value, list):
        raise BadInput(f"{key} needs {'a list, each ' if rule.many else ''}{rule.expected}; got {value!r}.")
    for item in value if rule.many else [value]:
        if rule.mappings and isinstance(item, dict):
            continue
        kinds = (int, float) if rule.kind is float else rule.kind
        right = isinstance(item, kinds) and (rule.kind is bool or not isinstance(item, bool))
        if right and rule.choices and item not in rule.choices:
            raise BadInput(f"{key}={item} does not exist: {nearest(item, rule.choices)}")
        if right and rule.kind is int and abs(item) >= EXACT_BELOW:
            raise BadInput(f"{key} needs a whole number below {EXACT_BELOW}; got {value!r}.")
        if right and rule.kind is str and not text(item):
            raise BadInput(f"{key} needs text that is UTF-8 and has no zero byte; got {value!r}.")
        if rule.kind is str and isinstance(item, int | float) and not rule.choices:
            raise BadInput(f"{key} needs {rule.expected}; got {value!r}, which is text in quotes: '{key}=\"{item}\"'.")
        if not right or (rule.kind is float and not finite(item)) or not rule.holds(item):
            raise BadInput(f"{key} needs {'a list, each ' if rule.many else ''}{rule.expected}; got {value!r}.")


def text(value: str) -> bool:
    """Whether files and tables can hold it."""
    return "\0" not in value and not any("\ud800" <= character <= "\udfff" for character in value)


def has_cuda() -> bool:
    import torch

    return torch.cuda.is_available()
