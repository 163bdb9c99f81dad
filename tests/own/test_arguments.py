"""The numbers and words that `bench.compare`, `bench.measure` and `bench.train` take: those of the configuration."""

import inspect
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch

import bench
from bench.config.arguments import ARGUMENTS
from bench.errors import BadInput
from tests.support.costs import Nonlinear, three_bits
from tests.support.own_models import Adopted

ODD = ("half", None, math.nan, math.inf, -1, -0.5, 2**60, True, [1.5], object())
BATCHES = torch.ones(1, 2, 1, 4, 4)
FUNCTIONS: dict[str, tuple[Any, tuple[Any, ...]]] = {
    "compare": (bench.compare, (Nonlinear(), three_bits(), ["rloo"])),
    "measure": (bench.measure, (Adopted(), BATCHES, ["rloo"])),
    "train": (bench.train, (Adopted(), BATCHES[0], "rloo")),
}


def arguments(function: Any) -> list[str]:
    return [name for name in inspect.signature(function).parameters if name in ARGUMENTS]


def odd() -> Iterator[tuple[str, str, Any]]:
    """Values that the rule of an argument refuses, by that rule's own words."""
    for title, (function, _) in FUNCTIONS.items():
        for name in arguments(function):
            rule = ARGUMENTS[name]
            for value in ODD:
                taken = (
                    (value is None and rule.optional)
                    or (value is True and rule.kind is bool)
                    or (rule.kind is float and value == 2**60 and rule.holds(value) and not rule.many)
                )
                if not taken and not (rule.kind is str and value == "half" and not rule.choices):
                    yield title, name, value


@pytest.mark.parametrize(("title", "name", "value"), [*odd()])
def test_an_odd_value_is_refused_in_one_sentence_that_names_it(title, name, value):
    function, given = FUNCTIONS[title]
    with pytest.raises(BadInput, match=rf"^{name}\b.*[.?']$") as raised:
        function(*given, **{name: value})
    assert "\n" not in str(raised.value)


def test_every_number_of_the_three_functions_has_its_rule():
    told = {"train": {"kl", "progress", "test", "steps", "batch_size"}, "measure": {"kl", "parts"}, "compare": set()}
    for title, (function, _) in FUNCTIONS.items():
        names = [p.name for p in inspect.signature(function).parameters.values() if p.kind is p.KEYWORD_ONLY]
        assert {*names} - {*ARGUMENTS} == told[title]


def test_numbers_of_numpy_are_numbers():
    given = {"draws": np.int64(4), "reference_draws": np.int32(4), "repetitions": np.int64(0), "seed": np.uint8(3)}
    plain = {name: int(number) for name, number in given.items()}
    cost, q = Nonlinear(), three_bits()
    assert bench.compare(cost, q, ["rloo"], **given).equals(bench.compare(cost, q, ["rloo"], **plain))
    with pytest.raises(BadInput, match=r"^draws needs a whole number"):
        bench.compare(cost, q, ["rloo"], draws=np.float64(4.0))
