"""Jobs of a sweep that have the same choices of groups and differ in a value or two: their other values are set once.

Values of different keys may be set in any order, unless one key lies within the other or a key is added or removed;
jobs of which that is not certain are composed as if no other were known.
"""

import pickle
import re
from collections.abc import Callable, Sequence
from itertools import combinations
from typing import TYPE_CHECKING, Any, NamedTuple

from hydra.core.override_parser.types import Override, OverrideType
from omegaconf import DictConfig, OmegaConf, open_dict

from bench.sweep.payload import packed

if TYPE_CHECKING:
    Setting = Callable[[list[Override], DictConfig], None]

HYDRA = "hydra"
KEY = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")


class Parts(NamedTuple):
    """Of the overrides of a job: choices of groups, with all that is Hydra's own; values; and all but Hydra's own."""

    choices: list[str]
    values: list[Override]
    task: list[Override]


class Base(NamedTuple):
    """A job's configuration in which the values at the places `open_` are not set; and the same without Hydra's own
    part, None where a value is taken from there."""

    job: Parts
    open_: frozenset[int]
    packed: bytes
    bare: bytes | None


class Alike:
    """Jobs of the same choices.

    Args:
        composed: the pickle of their configuration before a value is set.
        apply: sets values.
    """

    def __init__(self, composed: bytes, apply: "Setting"):
        self.composed, self.apply = composed, apply
        self.before: Parts | None = None
        self.base: Base | None = None
        self.dependent: list[str] = []  # keys whose values depend on their order

    def job(self, parts: Parts) -> DictConfig:
        """The configuration of a job, without what is counted from all its overrides. Raises as `apply`."""
        before, self.before = self.before, parts
        try:
            if self.base is None or not self._covers(self.base, parts):
                self.base = None if before is None else self.based(before, parts)
            if self.base is not None:
                return self.on(self.base, parts)
        except Exception:  # the other way says what is wrong
            self.base = None
        [cfg] = pickle.loads(self.composed)
        self.apply(parts.values, cfg)
        cfg.hydra.overrides.task = list(map(line, parts.task))
        return cfg

    def bare(self, parts: Parts) -> DictConfig | None:
        """The configuration of a job without Hydra's own part; None where that takes the whole."""
        base = self.base
        if base is None or base.bare is None or not self._covers(base, parts):
            return None
        values = [parts.values[i] for i in sorted(base.open_)]
        if any(HYDRA in line(value) for value in values):
            return None
        [cfg] = pickle.loads(base.bare)
        self.apply(values, cfg)
        return cfg

    def _covers(self, base: Base, parts: Parts) -> bool:
        apart = differing(base.job, parts)
        return apart is not None and apart <= base.open_

    def based(self, before: Parts, parts: Parts) -> Base | None:
        """What two jobs have in common, and what those before them had."""
        apart, keys = differing(before, parts), [value.key_or_group for value in parts.values]
        if not apart or keys == self.dependent:
            return None
        [cfg] = pickle.loads(self.composed)
        if not independent(parts.values, cfg):
            self.dependent = keys
            return None
        if self.base and (wider := differing(self.base.job, parts)) is not None:
            apart |= self.base.open_ | wider
        self.apply([value for i, value in enumerate(parts.values) if i not in apart], cfg)
        cfg.hydra.overrides.task = list(map(line, parts.task))
        whole = packed(cfg)
        with open_dict(cfg):
            del cfg["hydra"]
        alone = HYDRA not in str(OmegaConf.to_container(cfg, resolve=False))
        return Base(parts, apart, whole, packed(cfg) if alone else None)

    def on(self, base: Base, parts: Parts) -> DictConfig:
        """The configuration of a job that differs from the base in open places alone."""
        [cfg] = pickle.loads(base.packed)
        self.apply([parts.values[i] for i in sorted(base.open_)], cfg)
        task = cfg.hydra.overrides.task
        for i, (there, here) in enumerate(zip(base.job.task, parts.task, strict=True)):
            if line(there) != line(here):
                task[i] = line(here)
        return cfg


def differing(one: Parts, other: Parts) -> frozenset[int] | None:
    """The places of values that two jobs do not have in common; None where they differ in more than such values."""
    if len(one.values) != len(other.values) or len(one.task) != len(other.task):
        return None
    pairs = list(zip(one.values, other.values, strict=True))
    apart = frozenset(i for i, (a, b) in enumerate(pairs) if line(a) != line(b))
    alike = all(a.key_or_group == b.key_or_group and _plain(a) and _plain(b) for a, b in (pairs[i] for i in apart))
    return apart if alike else None


def independent(values: Sequence[Override], cfg: DictConfig) -> bool:
    """Whether these values may be set in any order: each is the value of a key that is there, and of no other's."""
    keys = [value.key_or_group for value in values]
    nested = (f"{a}.".startswith(f"{b}.") or f"{b}.".startswith(f"{a}.") for a, b in combinations(keys, 2))
    return all(map(_plain, values)) and all(_there(cfg, key) for key in keys) and not any(nested)


def _plain(value: Override) -> bool:
    known = value.type == OverrideType.CHANGE and value.package is None
    return known and not isinstance(value.value(), dict) and KEY.fullmatch(value.key_or_group) is not None


def _there(cfg: DictConfig, key: str) -> bool:
    """Whether every mapping on the way to a key is itself, and holds the next word."""
    node: Any = cfg
    for word in key.split("."):
        held = vars(node).get("_content") if isinstance(node, DictConfig) else None
        if not isinstance(held, dict) or word not in held:  # missing, null, or what stands elsewhere
            return False
        node = held[word]
    return True


def line(override: Override) -> str:
    """As it was written."""
    return override.input_line or ""
