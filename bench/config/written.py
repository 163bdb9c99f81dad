"""Places that take a variable of the environment: the tables record what was written for them, and not its value."""

import os
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from omegaconf import DictConfig

PLACES = ("output", "data.root", "data.path", "probe.checkpoint")  # paths, in which ~ is the home folder
ENVIRONMENT = re.compile(r"\$\{\s*oc\.env\s*:")
_written: dict[tuple[str, str], str] = {}  # (key, value) -> what was written; of the configurations of this process


def values(cfg: "DictConfig") -> dict[str, Any]:
    """The configuration as plain values, of whose places `as_written` knows what was written."""
    from omegaconf import OmegaConf

    plain: Any = OmegaConf.to_container(cfg, resolve=True, throw_on_missing=True)
    for key in PLACES:
        if (text := expression(cfg, key)) is not None:
            _written[key, OmegaConf.select(cfg, key)] = text
    return plain


def expression(cfg: "DictConfig", key: str) -> str | None:
    """What is written for a key whose value is taken from elsewhere; None for any other."""
    from omegaconf import OmegaConf

    group, _, name = key.rpartition(".")
    held: Any = OmegaConf.select(cfg, group) if group else cfg
    if not OmegaConf.is_dict(held) or name not in held.keys() or not OmegaConf.is_interpolation(held, name):  # noqa: SIM118
        return None
    return str(OmegaConf.to_container(held, resolve=False)[name])  # type: ignore[call-overload, index]


def expand_home(cfg: "DictConfig") -> None:
    """Let every place that begins with ~ begin with the home folder."""
    from omegaconf import OmegaConf

    for key in PLACES:
        for place in (expression(cfg, key), OmegaConf.select(cfg, key)):
            if isinstance(place, str) and place.startswith("~"):
                OmegaConf.update(cfg, key, os.path.expanduser(place))
                break


def as_written(config: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration with what was written for its places."""
    found = {**config}
    for key in PLACES:
        group, _, name = key.rpartition(".")
        held = found.get(group) if group else found
        if isinstance(held, dict) and isinstance(held.get(name), str) and (text := _written.get((key, held[name]))):
            found |= {group: held | {name: text}} if group else {name: text}
    return found
