"""Bad values made from `bench.rules` itself: for every key one of a wrong type, one out of range, one misspelt."""

import copy
from functools import cache
from typing import Any

from bench.config.rules import PROBE, RULES, Rule
from bench.files import CONF
from tests.support.composed import resolved

GROUPS = ("problem", "latent")  # whose options decide which keys there are


@cache
def bases() -> dict[str, dict[str, Any]]:
    """A composed configuration for each option that brings keys of its own, by its override."""
    found: dict[str, dict[str, Any]] = {"seed=0": resolved("device=cpu")}
    for key, rule in RULES.items():
        if not any(has(config, key) for config in found.values()) and rule.only:
            group = rule.only[0].partition(".")[0]
            for file in sorted((CONF / group).glob("*.yaml")):
                config = resolved("device=cpu", f"{group}={file.stem}")
                if has(config, key):
                    found[f"{group}={file.stem}"] = config
                    break
    return found


def has(config: dict[str, Any], key: str) -> bool:
    """Whether the dotted key is set there."""
    for name in key.split("."):
        if not isinstance(config, dict) or name not in config:
            return False
        config = config[name]
    return True


def base(key: str) -> tuple[str, dict[str, Any]]:
    """The first of the bases that has the key, with its override."""
    return next((override, config) for override, config in bases().items() if has(config, key))


def changed(config: dict[str, Any], key: str, value: Any) -> dict[str, Any]:
    """A copy with another value of the dotted key."""
    made = copy.deepcopy(config)
    *path, last = key.split(".")
    node = made
    for name in path:
        node = node.setdefault(name, {})
    node[last] = value
    return made


def wrong_type(rule: Rule) -> Any:
    """A value of a type that the rule does not have."""
    return {int: 1.5, float: "many", str: 7, bool: "perhaps"}[rule.kind]


def out_of_range(rule: Rule) -> Any:
    """A value of the right type that the rule refuses; None where it refuses none."""
    tried = {int: (-7, 0, 1, 2**53), float: (-0.5, 0.0, 1.5, float("nan")), str: ("nothing_like_it", ""), bool: ()}
    refuses = (v for v in tried[rule.kind] if not rule.holds(v) or (rule.choices and v not in rule.choices))
    return next(refuses, {int: 2**60, float: float("inf")}.get(rule.kind))


def misspelt(key: str) -> str:
    """The key with its last two letters exchanged, or one more where they are the same."""
    swapped = key[:-2] + key[-1] + key[-2]
    return swapped if swapped != key and swapped not in {**RULES, **PROBE} else f"{key}{key[-1]}"


def bad_values(key: str, rule: Rule) -> list[tuple[str, Any]]:
    """(key, value) of the three, each in a list where the rule is of lists."""
    values = [value for value in (wrong_type(rule), out_of_range(rule)) if value is not None]
    return [(key, [value] if rule.many else value) for value in values] + [(misspelt(key), 1)]


KEYS = [key for key in RULES if key != "option"]


def one_sentence_about(said: str, key: str) -> bool:
    """Whether a refusal is one sentence that names the key."""
    return said.endswith((".", "?")) and len(said.splitlines()) == 1 and key in said
