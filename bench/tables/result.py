"""What a run says of its bounds, for those who choose among runs."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from bench.tables import store

LAST = 3  # evaluations of which a spread is


class Result(NamedTuple):
    """What a run says of its point; NaN: it has no such number.

    Attributes:
        bound: on the split that decides, at the last step (nats): the ELBO, or the bound that the estimator optimises.
        error: its standard error over examples (nats).
        spread: variance of that bound over the last `LAST` evaluations (nats^2).
        test: the bound on the test split, for the table alone (nats).
        seconds: wall-clock time of the whole run.
    """

    run: str | None = None
    status: str = "failed"
    bound: float = math.nan
    error: float = math.nan
    spread: float = math.nan
    test: float = math.nan
    seconds: float = math.nan


def result_of(directory: Path, split: str) -> Result:
    """What the run in this directory says; raises SchemaError where it is not complete."""
    tables = store.read(directory)
    [run] = tables["runs"].to_pylist()
    found = Result(run["run"], run["status"], seconds=run["seconds"] or math.nan)
    if run["status"] != "done" or "objective" not in tables:
        return found
    name = run["objective"]
    rows = sorted(tables["objective"].to_pylist(), key=lambda row: row["step"])
    deciding = [row for row in rows if row["split"] == split]
    bounds = [_number(row[name]) for row in deciding]
    if not bounds:
        return found
    tests = [_number(row[name]) for row in rows if row["split"] == "test"]
    return found._replace(
        bound=bounds[-1],
        error=_number(deciding[-1][f"{name}_se"]),
        spread=_variance(bounds[-LAST:]),
        test=tests[-1] if tests else math.nan,
    )


def _variance(values: Sequence[float]) -> float:
    if len(values) < 2:
        return math.nan
    mean = sum(values) / len(values)
    return sum((value - mean) ** 2 for value in values) / (len(values) - 1)


def _number(value: Any) -> float:
    """A null is NaN, and so is an infinity: neither is a bound."""
    return math.nan if value is None or not math.isfinite(value) else float(value)
