"""What the arguments of `bench.compare`, `bench.measure` and `bench.train` may be."""

from collections.abc import Mapping, Sequence
from typing import Any

from numpy import generic

from bench.config.prepare import check_value
from bench.config.rules import POSITIVE, PROBE, RULES, Rule
from bench.errors import BadInput
from estimators import Estimator

ARGUMENTS: dict[str, Rule] = {
    "seed": RULES["seed"],
    "beta": RULES["objective.beta"],
    "repetitions": RULES["timing.repetitions"],
    "tuning_steps": PROBE["probe.tuning_steps"],
    "tuning_lr": RULES["train.tuning_lr"],
    "memory": POSITIVE._replace(optional=True),
    **{
        name: RULES[f"measure.{name}"]
        for name in ("draws", "reference", "reference_draws", "precision", "max_draws", "layers")
    },
    **{name: RULES[f"evaluate.{name}"] for name in ("at", "examples", "samples", "prior_samples")},
    "engine": RULES["engine"],
}


def check_arguments(**given: Any) -> None:
    """Raise BadInput at the first that is not what the key of the configuration with this meaning may be."""
    for name, value in given.items():
        check_value(name, value.item() if isinstance(value, generic) else value, ARGUMENTS[name])


def labelled(estimators: Sequence[str | Estimator] | Mapping[str, Estimator]) -> Mapping[str, str | Estimator]:
    """The estimators by their labels. An empty list, another type or a label that occurs twice raises BadInput."""
    several = isinstance(estimators, Mapping | Sequence) and not isinstance(estimators, str)
    entries = list(estimators.values() if isinstance(estimators, Mapping) else estimators) if several else []
    labels = estimators if isinstance(estimators, Mapping) else ()
    right = all(isinstance(e, str | Estimator) for e in entries) and all(isinstance(label, str) for label in labels)
    if not entries or not right:
        raise BadInput(
            f"estimators needs a list of names or estimators, or a dict of labels to them; got {estimators!r}."
        )
    if isinstance(estimators, Mapping):
        return estimators
    names = [entry if isinstance(entry, str) else entry.name for entry in estimators]
    if twice := [name for name in names if names.count(name) > 1]:
        raise BadInput(
            f"Two estimators are called {twice[0]}; give them labels: {{'mine': bench.estimator(...), ...}}."
        )
    return dict(zip(names, estimators, strict=True))
