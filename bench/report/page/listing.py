"""The tables of the page, whose cells have a text to show and a value to sort by."""

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from bench.report.collection.collect import OWN_TRAJECTORY, PANEL, Collection, Group
from bench.report.collection.endings import remarks_of
from bench.report.collection.level import PRICES
from bench.report.figures.panels import title
from bench.report.page.numbers import bounded, nats, number, percent
from bench.tables.columns import QUANTITIES

if TYPE_CHECKING:
    import pandas as pd

MOST_PAIRS = 2000
SHORT = {
    "variance_noise": "noise",
    "variance_x_evaluations": "noise x evaluations",
    "variance_x_seconds": "noise x seconds",
}


INTERVALS = {  # of the comparison: column and header
    "variance_noise_encoder": "noise (nats²)",
    "bias_sq": "bias² (nats²)",
    "relative_bias_sq": "relative bias²",
    "variance_x_evaluations": "noise x evaluations",
    "variance_x_seconds": "noise x seconds",
    "seconds_gradient": "s per gradient",
}


class Cell(NamedTuple):
    """A cell. `value` is the number to sort by; None: the text is."""

    text: str
    value: float | None = None


class Listing(NamedTuple):
    """A table of the page; `numeric` are the columns whose cells are aligned as numbers."""

    name: str
    title: str
    note: str
    columns: list[str]
    rows: list[list[Cell]]
    numeric: list[bool]


def _number(value: Any) -> Cell:
    return Cell(number(value), _sortable(value))


def _sortable(value: Any) -> float | None:
    return None if value is None or math.isnan(value) else float(value)


def _rows(table: "pd.DataFrame") -> Iterator[Any]:
    yield from table.itertuples()


def name_of(row: Any) -> str:
    """The panel of a row, in one line."""
    return title(tuple(getattr(row, key) for key in PANEL)).replace("\n", "; ")


def comparison_listing(table: "pd.DataFrame") -> Listing:
    """The table of every configuration."""
    rows = []
    for row in _rows(table[table.done + table.failed + table.diverged > 0]):
        bound = "iwae_test" if row.objective == "iwae" else "elbo_test"
        words = remarks_of(row)
        label = f"{row.label} ({words})" if words else row.label
        cells = [Cell(name_of(row)), Cell(label), Cell({True: "yes", False: "no"}.get(row.unbiased, ""))]
        cells.append(Cell(_of(row.seeds, row.seeds + row.failed + row.diverged), row.seeds))
        cells.append(Cell(nats(*_ends(row, bound)), _sortable(getattr(row, bound))))
        for column in INTERVALS:
            mean, low, high, n = _ends(row, column)
            used = f" ({_of(n, row.seeds)})" if 0 < n < row.seeds else ""
            cells.append(Cell(f"{bounded(mean, low, high, n)}{used}", _sortable(mean)))
        cells += [_number(row.evaluations), _number(row.seconds_step)]
        rows.append([*cells, *_to_level(row)])
    columns = ["family and setting", "estimator", "claims unbiased", "seeds", "test bound (nats)", *INTERVALS.values(),
               "evaluations", "s per step", "level (nats)", "s to the level", "evaluations to it"]  # fmt: skip
    note = (
        "Values at the last step. [95 % Student-t intervals over seeds] hold for each configuration alone; with a time "
        "they include the error of the time. Noise and bias² are those of the encoder's gradient; relative bias² is "
        "divided by the squared norm of the reference. The bound is the ELBO, or the IWAE bound if the estimator "
        "optimises that. 2 of 3: two of three runs count. [too few]: the interval would span more than six decades. "
        "To the level: until the bound first reaches the baseline's at the last step minus 0.5 nat, median over runs; "
        "a run that does not reach it, fails or diverges counts as later than all that do."
    )
    numeric = [False] * 3 + [True] * (len(columns) - 3)
    return Listing("comparison", "Every configuration", note, columns, rows, numeric)


def _to_level(row: Any) -> list[Cell]:
    """The cells of the level, and of time and evaluations until it; no number if half of the runs do not reach it."""
    total = row.done + row.failed + row.diverged
    cells = [Cell("" if math.isnan(row.level) else f"{row.level:.1f}", _sortable(row.level))]
    for price in PRICES:
        value = getattr(row, f"{price}_to_level")
        few = row.passed <= total / 2
        passed = f" ({_of(row.passed, total)})" if row.passed < total else ""
        text = f"{'not reached' if few else number(value)}{passed}" if row.passed == row.passed else ""
        cells.append(Cell(text, None if few else _sortable(value)))
    return cells


def _of(used: float, total: float) -> str:
    return f"{used:.0f}" if used == total else f"{used:.0f} of {total:.0f}"


def _ends(row: Any, column: str) -> tuple[float, float, float, float]:
    return tuple(getattr(row, f"{column}{end}") for end in ("", "_low", "_high", "_n"))


def pairs_listing(table: "pd.DataFrame", best: set[Group]) -> Listing:
    """The table of every pair. If there are very many, only those with an estimator of `best`, the lowest measured of a
    criterion, as (*panel, label)."""
    note = (
        "Ratio A / B over paired seeds, [95 % Student-t intervals], and the probability that A is lower, both for this "
        "pair alone. \N{ASTERISK OPERATOR}: the two differ with 95 % confidence jointly for all pairs of the panel, by "
        "Tukey's studentised range. Empty: one seed, or no noise."
    )
    if len(table) > MOST_PAIRS:
        keys = [tuple(row) for row in table[PANEL].itertuples(index=False, name=None)]
        kept = [(*key, a) in best or (*key, b) in best for key, a, b in zip(keys, table.A, table.B, strict=True)]
        note += (
            f" Of {len(table)} pairs these have an estimator that is lowest in some criterion; pairs.parquet has all."
        )
        table = table[kept]
    rows = []
    for row in _rows(table[table.variance_noise_seeds > 0]):
        cells = [Cell(name_of(row)), Cell(row.A), Cell(row.B)]
        for q in QUANTITIES:
            ratio, low, high, n = (getattr(row, f"{q}_{end}") for end in ("ratio", "low", "high", "seeds"))
            mark = " \N{ASTERISK OPERATOR}" if getattr(row, f"{q}_separated") is True else ""
            cells.append(Cell(bounded(ratio, low, high, n) + mark, _sortable(ratio)))
            cells.append(_probability(getattr(row, f"{q}_probability")))
        rows.append([*cells, Cell(str(int(row.variance_noise_seeds)), int(row.variance_noise_seeds))])
    columns = ["family and setting", "A", "B"]
    columns += [words for q in QUANTITIES for words in (f"{SHORT[q]}, A / B", "P(A lower)")] + ["seeds"]
    return Listing("pairs", "Every pair", note, columns, rows, [False] * 3 + [True] * 7)


def _probability(value: float) -> Cell:
    return Cell("" if math.isnan(value) else percent(value), _sortable(value))


def runs_listing(collection: Collection) -> Listing:
    """The table of every run, with machine, versions and command."""
    units = collection.units.drop_duplicates("run").set_index("run")
    rows = []
    for run in collection.tables["runs"].to_pylist():
        if run["run"] not in units.index:
            continue  # an older run of the same configuration and seed
        unit = units.loc[run["run"]]
        cells = [Cell(run["run"]), Cell(run["status"]), Cell(name_of(unit)), Cell(unit.label), _whole(run["seed"])]
        cells += [_whole(run["step"]), Cell(number(run["seconds"]), run["seconds"])]
        told = ("device_name", "torch", "commit", "started", "command")
        rows.append(cells + [Cell(str(run[column] or "")) for column in told])
    columns = ["run", "status", "family and setting", "estimator", "seed", "step", "seconds", "device", "torch",
               "commit", "started", "command"]  # fmt: skip
    numeric = [False] * 4 + [True] * 3 + [False] * 5
    return Listing("runs", "Every run", "One command may have made many runs.", columns, rows, numeric)


def _whole(value: int | None) -> Cell:
    return Cell("" if value is None else str(value), value)


def endings_listing(units: "pd.DataFrame") -> Listing | None:
    """The runs that failed, diverged or were skipped, with their reasons; None where all are done."""
    units = units[units.status != "done"]
    if units.empty:
        return None
    units = units.assign(reason=units.reason.fillna(""))
    rows = []
    for (status, family, label, reason), of in units.groupby(["status", "family", "label", "reason"]):
        step = of.checkpoint.max()
        where = family if step == OWN_TRAJECTORY else f"{family}, shared checkpoint"
        rows.append(
            [Cell(str(status)), Cell(str(where)), Cell(str(label)), Cell(str(len(of)), len(of)), Cell(str(reason))]
        )
    columns = ["status", "family", "estimator", "runs", "reason"]
    note = "These runs count in no mean."
    return Listing("endings", "Failed and skipped runs", note, columns, rows, [False, False, False, True, False])
