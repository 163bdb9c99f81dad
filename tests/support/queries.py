"""A short language for one number of the tables in `results/`.

    families bernoulli rloo variance_noise_encoder
    families:gradient bernoulli rloo encoder last mean norm_sq_data
    reliability/kills_pool victim=worker count
    problems/toys_gaussian:pairs A=reparam 'B=score k=4' variance_noise_ratio

The first word is a table: a report's folder under `results/`, which is its comparison, `folder:table` for another of
its tables, or a CSV or Parquet file without its ending. The words after it are those of `bench.report.query`. `a / b`,
`a * b` and `a - b` are computed from the left, and a plain number is itself. `call module.function(word, 8)[0]` is a
number of the tests' own arithmetic.
"""

import ast
import importlib
import math
import re
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from bench.report import query
from bench.report.frames import Frames, load
from bench.report.query import FUNCTIONS, Query
from tests.support.packages import ROOT

RESULTS = ROOT / "results"
IN_DRAWS = {  # column of a comparison -> part and column of table gradient, whose draws give its error with one seed
    "variance_noise_encoder": ("encoder", "variance_noise"), "variance_noise_latent": ("latent", "variance_noise"),
    "variance_x_evaluations": ("encoder", "variance_noise"), "bias_sq": ("encoder", "bias_sq"),
    "norm_sq": ("encoder", "norm_sq"), "relative_bias_sq": ("encoder", "bias_sq"),
}  # fmt: skip


class Number(NamedTuple):
    """A number with its 95 % interval, where it has one: NaN where it has none, the number itself where it is exact."""

    value: float
    low: float = math.nan
    high: float = math.nan


@cache
def frame(table: str) -> pd.DataFrame:
    """A table of `results/`; those of single runs have the columns family, setting, label and status."""
    folder, _, name = table.partition(":")
    place = RESULTS / folder
    if not place.is_dir():
        found = next((file for end in (".parquet", ".csv") if (file := Path(f"{place}{end}")).is_file()), None)
        if found is None:
            raise ValueError(f"There is no table results/{table}.")
        return pd.read_parquet(found) if found.suffix == ".parquet" else pd.read_csv(found)
    if name in Frames._fields:
        return getattr(_loaded(folder), name)
    names = [f"{prefix}{name or 'comparison'}.parquet" for prefix in ("all_", "")]
    return pd.read_parquet(next(place / file for file in names if (place / file).is_file()))


@cache
def _loaded(folder: str) -> Any:
    import warnings

    with warnings.catch_warnings(action="ignore"):  # of runs that count in no place
        return load(RESULTS / folder)


def parse(text: str) -> Query:
    """The rows and the column of one query. Raises ValueError where a word means nothing."""
    return query.parse(text, frame)


def number(text: str) -> Number:
    """What an expression gives. Raises ValueError, with one sentence, where it gives no single number."""
    first, *rest = re.split(r" ([/*-]) ", text.strip())
    found = _single(first)
    for sign, other in zip(rest[::2], rest[1::2], strict=True):
        more = _single(other).value
        found = Number(*({"/": v / more, "*": v * more, "-": v - more}[sign] for v in found))
    return found


def _single(text: str) -> Number:
    if re.fullmatch(r"-?[\d.]+(e-?\d+)?", text):
        return Number(*[float(text)] * 3)
    if call := re.fullmatch(r"call (\S+)\.(\w+)\((.*)\)((?:\[\d+\])*)", text):
        found: Any = getattr(importlib.import_module(call[1]), call[2])(*map(_word, call[3].split(",")))
        for index in re.findall(r"\d+", call[4]):
            found = found[int(index)]
        return Number(*[float(found)] * 3)
    query = parse(text)
    values = query.rows[query.column].dropna().astype(float) if query.column else query.rows
    if not query.function and len(values) != 1:
        raise ValueError(
            f"`{text}` chooses {len(query.rows)} rows, {len(values)} with a number; name one, or a function."
        )
    value = float(FUNCTIONS[query.function](values) if query.function else values.iloc[0])
    if query.exact or query.function == "count":
        return Number(value, value, value)
    return Number(value, *(_ends(query, value) if not query.function else ()))


def _word(text: str) -> Any:
    try:
        return ast.literal_eval(text.strip())
    except (ValueError, SyntaxError):
        return text.strip()


def _ends(query: Query, value: float) -> tuple[float, float]:
    """The interval of the row: its columns, or 1.96 standard errors, or those of its draws where one seed was run."""
    row, column = query.rows.iloc[0], query.column
    low, high = (float(row.get(f"{column}_{end}", math.nan)) for end in ("low", "high"))
    if math.isnan(low) and column in IN_DRAWS and "label" in row and ":" not in query.table:
        part, name = IN_DRAWS[column]
        gradient = frame(f"{query.table}:gradient")
        same = (gradient.family == row.family) & (gradient.label == row.label) & (gradient.part == part)
        drawn = gradient[same & (gradient.step == gradient[same].step.max())]
        if len(drawn) == 1:
            one = drawn.iloc[0]
            half = 1.96 * float(one[f"{name}_se"]) * abs(value / float(one[name]))
            return value - half, value + half
    if math.isnan(low) and f"{column}_se" in row:
        half = 1.96 * float(row[f"{column}_se"])
        return value - half, value + half
    return low, high
