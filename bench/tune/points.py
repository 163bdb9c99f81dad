"""Which values an estimator is tried with: the first points of the list, each within the ranges of its keys."""

from collections.abc import Mapping
from typing import cast

from bench.config.identity import flatten
from bench.config.prepare import check_keys
from bench.config.rules import TUNE
from bench.errors import BadInput
from bench.interface import declared
from bench.settings import Tuning
from estimators import Estimator
from estimators.base import Range

LR = "train.lr"
DIGITS = 4  # significant ones of a value that is no whole number: a label has no more
Values = dict[str, float]  # dotted key -> value


def checked(settings: Mapping[str, object]) -> Tuning:
    """The settings; raises BadInput, with one sentence, where a value is none, or they do not go together."""
    check_keys(leaves := dict(flatten(settings)), TUNE)
    found = cast(Tuning, settings)
    lr, halving, lists = leaves["tune.lr"], leaves["tune.halving"], coordinates(found)
    if len(lr) != 2 or not lr[0] < lr[1]:
        raise BadInput(f"tune.lr needs two numbers above 0, the lower one first; got {lr}.")
    if sorted({*halving}) != halving or not all(0 < share < 1 for share in halving):
        raise BadInput(f"tune.halving needs rising fractions between 0 and 1, or [] for none; got {halving}.")
    if len({len(shares) for shares in lists.values()}) > 1:
        sizes = ", ".join(f"{len(shares)} of {name}" for name, shares in lists.items())
        raise BadInput(f"tune.points needs as many numbers for each key, one a point; got {sizes}.")
    if found["budget"] > len(lists["lr"]):
        raise BadInput(f"budget={found['budget']} is more than the {len(lists['lr'])} points of tune.points.")
    return found


def coordinates(settings: Tuning) -> dict[str, list[float]]:
    """Name of each key that is varied -> where each point lies in its range."""
    lists = cast(dict[str, list[float] | None], settings["tune"]["points"])
    return {name: shares for name, shares in lists.items() if shares is not None}


def points_of(cls: type[Estimator], defaults: Mapping[str, object], fixed: set[str], settings: Tuning) -> list[Values]:
    """The points of an estimator, at most `budget`: those that come out equal, as where there is no key but the
    learning rate in a grid, are one.

    Args:
        cls: its class, whose `tunable` has the ranges.
        defaults: its hyper-parameters; where the default is a whole number, so is every value.
        fixed: dotted keys that the command or the preset sets, which stay as they are.
        settings: of the command.
    """
    found: list[Values] = []
    low, high = settings["tune"]["lr"]
    ranges = {LR: Range(low, high)} | {f"estimator.{name}": of for name, of in declared(cls, "tunable", {}).items()}
    lists = {LR if name == "lr" else f"estimator.{name}": shares for name, shares in coordinates(settings).items()}
    varied = {key: shares for key, shares in lists.items() if key in ranges and key not in fixed}
    for number in range(settings["budget"]):
        values = {key: rounded(ranges[key].at(shares[number])) for key, shares in varied.items()}
        whole = {k: round(v) for k, v in values.items() if isinstance(defaults.get(k.removeprefix("estimator.")), int)}
        if values | whole not in found:
            found.append(values | whole)
    return found


def rounded(value: float) -> float:
    """The value to `DIGITS` significant digits."""
    return float(f"{value:.{DIGITS}g}")
