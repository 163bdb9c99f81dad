"""Rows of the table that are measured together. A failure leaves the other rows, and what is in the table may stay."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from bench.run.failures import explain, lost_gpu
from bench.speed.problems import Option
from bench.terminal import plain

NAMES = ("what", "estimator", "family", "size", "engine")  # the columns that tell rows apart


class Rows(NamedTuple):
    """Some rows: of each the columns NAMES and `unit`, and a function that measures the other columns of each."""

    about: list[dict[str, Any]]
    measure: Callable[[], list[dict[str, Any]]]


def about(what: str, option: Option, size: int, engine: str = "eager", unit: str = "s") -> dict[str, Any]:
    """The columns NAMES and `unit` of a row."""
    return {
        "what": what, "estimator": option.name, "family": option.family, "size": size, "engine": engine, "unit": unit
    }  # fmt: skip


def measured(
    every: Iterable[Rows], there: Collection[Mapping[str, Any]], failures: list[str]
) -> Iterator[dict[str, Any]]:
    """Measure the rows that are not there, and yield each. What fails is printed, and a sentence of it is added to
    `failures`; a lost GPU ends it."""
    known = {named(row) for row in there}
    for rows in every:
        if all(named(row) in known for row in rows.about):
            continue
        try:
            found = rows.measure()
        except Exception as error:  # of these rows: the others are measured all the same
            first = rows.about[0]
            failures.append(
                plain(f"{first['what']}, {first['estimator']}, {first['size']}, {first['engine']}: {explain(error)}")
            )
            print(failures[-1], flush=True)
            if lost_gpu:
                print("The GPU is lost to this process, so the other rows are not measured.")
                return
            continue
        yield from (
            names | columns for names, columns in zip(rows.about, found, strict=True) if named(names) not in known
        )


def named(row: Mapping[str, Any]) -> tuple[Any, ...]:
    """What tells this row from the others."""
    return tuple(row[name] for name in NAMES)
