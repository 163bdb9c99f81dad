"""A short language for the rows and the column of a table that a number comes from.

    objective estimator=reinmax last train elbo
    gradient estimator=rloo encoder last =variance_noise/norm_sq

The first word is a table. A word that is a column is the number that is wanted; `=formula` is a column computed from
others. `column=value` and a bare value, of any text column or a word of it, choose rows, and so do `column!=value`,
`column<value`, `column>value` and `column~pattern`. `last` keeps the largest step of each run; mean, median, geomean,
min, max, sum, count and share make one number of several rows, and `exact` says that the number has no error.
"""

import re
import shlex
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

ORDERS = {"<": "__lt__", ">": "__gt__"}
FUNCTIONS: dict[str, Callable[..., float]] = {
    "mean": np.mean, "median": np.median, "min": np.min, "max": np.max, "sum": np.sum, "count": len, "share": np.mean,
    "geomean": lambda values: float(np.exp(np.mean(np.log(values)))),
}  # fmt: skip


class Query(NamedTuple):
    """The rows that a query chooses, the column, and what is made of several rows."""

    table: str
    rows: "pd.DataFrame"
    column: str
    function: str
    exact: bool


def parse(text: str, frame: "Callable[[str], pd.DataFrame]") -> Query:
    """The rows and the column of one query.

    Args:
        frame: the table of a name.

    Raises:
        ValueError: a word means nothing, or nothing is left.
    """
    table, *words = shlex.split(text)
    rows, column, function, exact = frame(table), "", "", False
    for word in words:
        name, sign, value = _parts(word)
        if word == "last":
            rows = rows[rows.step == rows.groupby("run").step.transform("max")]
        elif word == "exact":
            exact = True
        elif word in FUNCTIONS:
            function = word
        elif word.startswith("="):
            rows, column = rows.copy(), word
            rows[word] = rows.eval(word[1:])
        elif word in rows.columns:
            column = word
        elif sign and name in rows.columns:
            rows = rows[_compared(rows[name], sign, value)]
        else:
            rows = rows[_holds(rows, word)]
    if function != "count" and (rows.empty or not column):
        raise ValueError(f"`{text}` names {'no row' if rows.empty else 'no column'}.")
    return Query(table, rows, column, function, exact)


def conditions(text: str, rows: "pd.DataFrame") -> "pd.DataFrame":
    """Of any rows those that meet a query's conditions on the columns that they have."""
    for name, sign, value in map(_parts, shlex.split(text)[1:]):
        if sign and name in rows.columns:
            rows = rows[_compared(rows[name], sign, value)]
    return rows


def _parts(word: str) -> tuple[str, str, str]:
    name, sign, value = [*re.split(r"(!=|[=<>~])", word, maxsplit=1), "", ""][:3]
    return name, sign, value


def _compared(values: "pd.Series", sign: str, value: str) -> "pd.Series":
    import pandas as pd

    numeric = pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values)
    if sign == "~":
        return values.astype(str).str.fullmatch(value)
    if sign in ("=", "!="):
        same = values == float(value) if numeric else values.astype(str) == value
        return same if sign == "=" else ~same
    return getattr(values, ORDERS[sign])(float(value))


def _holds(rows: "pd.DataFrame", word: str) -> "pd.Series":
    """The rows in which a text column is this word; where none is, those in which one has it among its words."""
    import pandas as pd

    texts = [
        rows[c].astype("object").fillna("").map(str)
        for c in rows.columns
        if not pd.api.types.is_numeric_dtype(rows[c]) and c != "config"
    ]
    for found in ([text == word for text in texts], [text.map(lambda t: word in t.split()) for text in texts]):
        any_of = pd.Series(np.logical_or.reduce([f.to_numpy(bool) for f in found]), rows.index)
        if any_of.any():
            return any_of
    raise ValueError(f"No text of the rows that are left is or has {word!r}.")
