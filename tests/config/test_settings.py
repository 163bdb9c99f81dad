"""The types of the configuration's groups against the rules, and against what `conf/` is composed to."""

from typing import Any, get_type_hints, is_typeddict

import pytest

from bench.config.prepare import prepare
from bench.config.rules import PROBE, RULES, TUNE, Rule
from bench.settings import Config, ProbeGroup, Tuning
from tests.support.composed import resolved

DECIDED = (
    "option",
    "measure.memory",
    "data.path",
    "data.digest",
)  # may be null in what is asked for, and not in what a run is given


def leaves(group: Any, prefix: str = "") -> dict[str, Any]:
    """Dotted key -> type, of a TypedDict and of those inside it; without the estimator's, which its constructor has."""
    found = {}
    for key, hint in get_type_hints(group).items():
        if is_typeddict(hint):
            found |= leaves(hint, f"{prefix}{key}.")
        elif prefix + key != "estimator":
            found[prefix + key] = hint
    return found


def hints(rules: dict[str, Rule]) -> dict[str, Any]:
    """Dotted key -> type, by the rules."""
    items = {key: rule.kind | dict[str, Any] if rule.mappings else rule.kind for key, rule in rules.items()}
    kinds: dict[str, Any] = {key: list[items[key]] if rule.many else rule.kind for key, rule in rules.items()}
    null = {key for key, rule in rules.items() if rule.optional and key not in DECIDED}
    return {key: kind | None if key in null else kind for key, kind in kinds.items()}


def group_types(group: Any, prefix: str = "") -> dict[str, Any]:
    """Dotted name -> TypedDict, with a dot at its end, of a TypedDict and of those inside it."""
    found = {prefix: group}
    for key, hint in get_type_hints(group).items():
        if is_typeddict(hint):
            found |= group_types(hint, f"{prefix}{key}.")
    return found


def condition(prefix: str) -> tuple[str, ...] | None:
    """Where a group exists: the condition of its first key."""
    return next(rule.only for key, rule in RULES.items() if key.startswith(prefix))


def test_the_types_have_the_keys_of_the_rules_and_their_kinds():
    assert leaves(Config) == hints(RULES)
    assert leaves(ProbeGroup, "probe.") == hints(PROBE)
    assert leaves(Tuning) == hints(TUNE)


@pytest.mark.parametrize("prefix", [prefix for prefix in group_types(Config) if prefix])
def test_a_key_is_required_where_it_exists_whenever_its_group_does(prefix):
    group = group_types(Config)[prefix]
    inside = {key.removeprefix(prefix): rule for key, rule in RULES.items() if key.startswith(prefix)}
    assert group.__required_keys__ == {key for key, rule in inside.items() if rule.only == condition(prefix)}


def test_the_groups_that_only_an_image_model_has_are_not_required():
    groups = {prefix for prefix in group_types(Config) if prefix}
    assert Config.__optional_keys__ == {"option"} | {g[:-1] for g in groups if condition(g) is not None}


@pytest.mark.parametrize("overrides", [[], ["latent=vq"], ["latent=categorical"], ["problem=gaussian_quadratic"]])
def test_what_is_composed_and_prepared_has_these_keys(overrides):
    prepared = prepare(resolved(*overrides))

    def fits(values: Any, group: Any) -> None:
        assert group.__required_keys__ <= values.keys() <= group.__required_keys__ | group.__optional_keys__
        for key, hint in get_type_hints(group).items():
            if is_typeddict(hint) and key in values:
                fits(values[key], hint)

    fits(prepared, Config)
