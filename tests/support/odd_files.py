"""Texts and values that no honest run, plan or claim has."""

import json
from pathlib import Path

from bench.tables.store import write
from tests.support.synthetic_runs import config, runs_row, tables

DEEP = "[" * 100_000
ODD_TEXTS = {
    "nothing": "", "no JSON": "{", "null": "null", "a number": "5", "a list": "[]", "a text": '"run"', "nested": DEEP,
    "nested inside": '{"run": ' + DEEP + "]" * 100_000 + "}", "nested to the limit": '{"a": ' * 900 + "1" + "}" * 900,
    "400 digits": "9" * 400, "5000 digits": "9" * 5000, "a lone surrogate": '"\\ud800"',
    "a surrogate key": '{"\\udc00": 1}',
    "NaN": "NaN", "Latin": "ü",
}  # fmt: skip

ODD_VALUES = {
    "null": None, "a flag": True, "a number": 5, "a fraction": 0.5, "infinity": float("inf"), "400 digits": 10**400,
    "64 bits and one": 2**63, "a list": [1], "lists": [[{"a": [None]}]], "a mapping": {"a": {"b": None}}, "empty": {},
    "a text": "x", "a lone surrogate": "\ud800", "a surrogate in a list": ["\udfff"], "a surrogate key": {"\ud800": 1},
    "a dotted key": {"a.b": {"": 1}},
}  # fmt: skip


def good(folder: Path) -> None:
    """An ordinary run."""
    row = runs_row(config("rloo", "bernoulli", 0), "rloo")
    write(folder / row["run"], tables(row))


def deep(value: object, levels: int) -> object:
    """The value inside so many mappings."""
    for _ in range(levels):
        value = {"a": value}
    return value


def edited(content: dict, key: str, value: object) -> dict:
    """A copy of the JSON in which a dotted key has this value; "" is all of it, inside one more mapping."""
    copy = json.loads(json.dumps(content))
    *path, last = key.split(".")
    node = copy
    for word in path:
        node = node[word]
    node[last] = value
    return copy
