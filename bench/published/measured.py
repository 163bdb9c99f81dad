"""Our number for a row: a query on the tables of its runs, one value a seed.

The tables are those of `bench.load`, `objective`, `gradient` and `cost`, and every column of `runs` stands beside them:
`config.<key>` for each key of the configuration, `estimator`, `device` and so on. The words are those of
`bench.report.query`. They must leave one row a seed, or name the function that makes one number of a seed's rows.
`a / b`, `a * b` and `a - b` are computed seed by seed, from the left.
"""

import math
import re
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from bench.report.query import FUNCTIONS, Query, conditions, parse

if TYPE_CHECKING:
    import pandas as pd

    from bench.report.frames import Frames

Frame = Callable[[str], "pd.DataFrame"]
TABLES = ("objective", "gradient", "cost")


class Measured(NamedTuple):
    """The mean over `n` seeds, half of its 95 % interval and the standard deviation over seeds, NaN where there is
    none, and the runs that it comes from. `per` says what the interval is over: seeds, draws or nothing."""

    value: float
    half: float
    sd: float
    n: int
    per: str
    runs: tuple[str, ...]


def frames(folder: Path) -> "Frames | None":
    """The tables of a folder; None where it has none."""
    from bench.report.frames import load
    from bench.tables.store import SchemaError

    if not folder.is_dir():
        return None
    try:
        with warnings.catch_warnings(action="ignore"):  # of runs that failed, which the page names
            return load(folder)
    except SchemaError:
        return None


def joined(tables: "Frames") -> Frame:
    """The table of a name, each row beside the columns of its run."""
    done = tables.runs[tables.runs.status == "done"]

    def frame(name: str) -> "pd.DataFrame":
        if name not in TABLES:
            raise ValueError(f"There is no table {name!r}; there are {', '.join(TABLES)}.")
        table = getattr(tables, name)
        more = ["run", *(c for c in done.columns if c not in table)]
        return table.merge(done[more], on="run")

    return frame


def measure(text: str, frame: Frame) -> Measured:
    """What a query gives. Raises ValueError, with one sentence, where it gives no single number a seed."""
    from bench.report.collection.statistics import t_interval

    first, *rest = re.split(r" ([/*-]) ", text.strip())
    values, found = _by_seed(parse(first, frame))
    queries = [found]
    for sign, other in zip(rest[::2], rest[1::2], strict=True):
        more, found = _by_seed(parse(other, frame))
        values = {"/": values / more, "*": values * more, "-": values - more}[sign].dropna()  # of the seeds of both
        queries.append(found)
    if values.empty:
        raise ValueError(f"`{text}` has no seed in all of its parts.")
    runs = tuple(dict.fromkeys(run for query in queries for run in query.rows.run))
    interval = t_interval(values)
    if found.exact:
        return Measured(interval.mean, 0.0, 0.0, len(values), "nothing", runs)
    if len(values) > 1:
        return Measured(interval.mean, interval.mean - interval.low, float(values.std()), len(values), "seeds", runs)
    half = _of_draws(found) if not rest else math.nan
    return Measured(interval.mean, half, math.nan, 1, "nothing" if math.isnan(half) else "draws", runs)


def runs_of(text: str, frame: Frame) -> list[str]:
    """The runs that a query chooses, whether or not they have the number. Raises ValueError where there are none."""
    parts = re.split(r" [/*-] ", text.strip())
    return list(dict.fromkeys(run for part in parts for run in parse(part, frame).rows.run))


def meant(text: str, runs: "pd.DataFrame") -> "pd.DataFrame":
    """Of the rows of `runs` those that a query would choose, whatever was measured in them and at which steps."""
    import pandas as pd

    rows = runs.drop(columns="step", errors="ignore")  # where a run ended, and not where it was measured
    found = pd.concat([conditions(part, rows) for part in re.split(r" [/*-] ", text.strip())])
    return runs.loc[found.index.unique()]


def _by_seed(query: Query) -> "tuple[pd.Series, Query]":
    rows = query.rows[query.rows[query.column].notna()]
    if rows.empty:
        raise ValueError(f"The rows of {query.table} that are chosen have no {query.column}.")
    groups = rows.groupby("seed")[query.column]
    if query.function:
        return groups.agg(FUNCTIONS[query.function]), query
    if (several := groups.size()).max() > 1:
        chosen = rows[rows.seed == several.idxmax()]
        labels = ", ".join(dict.fromkeys(chosen.label))
        raise ValueError(f"{several.max()} rows of seed {several.idxmax()} are chosen, of {labels}: name one.")
    return groups.first(), query


def _of_draws(query: Query) -> float:
    """Half of the interval of a single row: 1.96 of its standard errors."""
    column = f"{query.column}_se"
    return 1.96 * float(query.rows[column].iloc[0]) if column in query.rows and not query.function else math.nan
