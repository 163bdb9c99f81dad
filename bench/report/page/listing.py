"""The tables of the page: cells with the text that is shown and the value that is sorted by."""

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from bench.report.collection.collect import NONE, PANEL, Collection
from bench.report.figures.panels import title
from bench.tables.columns import QUANTITIES

if TYPE_CHECKING:
    import pandas as pd

MOST_PAIRS = 2000
SHORT = {
    "variance_noise": "noise",
    "variance_x_evaluations": "noise x evaluations",
    "variance_x_seconds": "noise x seconds",
}


class Cell(NamedTuple):
    """`value` is a number to sort by, or None: by the text."""

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


def number(value: Any) -> str:
    """Three digits, or the whole part where it is longer; powers of ten beyond five digits; empty for none."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    value = float(value)
    if value == 0:
        return "0"
    if 1e-3 <= abs(value) < 1e5:
        return (f"{value:.0f}" if abs(value) >= 1000 else f"{value:#.3g}".rstrip(".")).replace("-", "\N{MINUS SIGN}")
    return f"{value:.2g}".replace("-", "\N{MINUS SIGN}")


def bounded(mean: float, low: float, high: float) -> str:
    """`714 [536, 949]`; without bounds where there are none."""
    return number(mean) + (f" [{number(low)}, {number(high)}]" if number(low) and number(high) else "")


def nats(mean: float, low: float = math.nan, high: float = math.nan) -> str:
    """A bound to a tenth of a nat, which three digits would lose; a small one to three digits."""
    if abs(mean) < 10:
        return bounded(mean, low, high)
    words = ["" if math.isnan(v) else f"{v:.1f}".replace("-", "\N{MINUS SIGN}") for v in (mean, low, high)]
    return words[0] + (f" [{words[1]}, {words[2]}]" if words[1] and words[2] else "")


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
    """Every configuration."""
    rows = []
    for row in _rows(table):
        bound = "iwae_test" if row.objective == "iwae" else "elbo_test"
        cells = [Cell(name_of(row)), Cell(row.label), Cell({True: "yes", False: "no"}.get(row.unbiased, ""))]
        cells.append(Cell(str(row.seeds), row.seeds))
        cells.append(Cell(nats(*_ends(row, bound)), _sortable(getattr(row, bound))))
        for column in ("variance_noise_encoder", "bias_sq"):
            cells.append(Cell(bounded(*_ends(row, column)), _sortable(getattr(row, column))))
        prices = ("variance_x_evaluations", "variance_x_seconds", "evaluations", "seconds_gradient", "seconds_step")
        rows.append(cells + [_number(getattr(row, column)) for column in prices])
    columns = ["family and setting", "estimator", "claims unbiased", "seeds", "test bound (nats)", "noise (nats²)",
               "bias² (nats²)", "noise x evaluations", "noise x seconds", "evaluations", "s per gradient",
               "s per step"]  # fmt: skip
    note = (
        "At the last step; [95 % Student-t intervals over seeds]. Noise and bias² are of the encoder's gradient. The "
        "bound is the ELBO, or the IWAE bound where the estimator optimises that."
    )
    return Listing("comparison", "Every configuration", note, columns, rows, [False] * 3 + [True] * 9)


def _ends(row: Any, column: str) -> tuple[float, float, float]:
    return getattr(row, column), getattr(row, f"{column}_low"), getattr(row, f"{column}_high")


def pairs_listing(table: "pd.DataFrame", best: set[tuple]) -> Listing:
    """Every pair; of very many, those with one of `best`: the lowest measured, as (*panel, label)."""
    note = (
        "A over B by paired seeds, [95 % Student-t intervals], and the probability that A is lower. Empty: one seed, "
        "or no noise. Not corrected for the number of pairs."
    )
    if len(table) > MOST_PAIRS:
        keys = [tuple(row) for row in table[PANEL].itertuples(index=False, name=None)]
        kept = [(*key, a) in best or (*key, b) in best for key, a, b in zip(keys, table.A, table.B, strict=True)]
        note += f" Of {len(table)} pairs these are the ones with a lowest measured; pairs.parquet has all."
        table = table[kept]
    rows = []
    for row in _rows(table):
        cells = [Cell(name_of(row)), Cell(row.A), Cell(row.B)]
        for q in QUANTITIES:
            ratio, low, high = (getattr(row, f"{q}_{end}") for end in ("ratio", "low", "high"))
            cells += [Cell(bounded(ratio, low, high), _sortable(ratio)), _probability(getattr(row, f"{q}_probability"))]
        rows.append([*cells, Cell(str(int(row.variance_noise_seeds)), int(row.variance_noise_seeds))])
    columns = ["family and setting", "A", "B"]
    columns += [words for q in QUANTITIES for words in (f"{SHORT[q]}, A / B", "P(A lower)")] + ["seeds"]
    return Listing("pairs", "Every pair", note, columns, rows, [False] * 3 + [True] * 7)


def _probability(value: float) -> Cell:
    return Cell("" if math.isnan(value) else percent(value), _sortable(value))


def percent(value: float) -> str:
    """A probability that never claims certainty."""
    return "> 99.9 %" if value > 0.999 else "< 0.1 %" if value < 0.001 else f"{100 * value:.1f} %"


def runs_listing(collection: Collection) -> Listing:
    """Every run, with what computed it."""
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
    """What did not end well, with its reason; None where all did."""
    units = units[units.status != "done"]
    if units.empty:
        return None
    units = units.assign(reason=units.reason.fillna(""))
    rows = []
    for (status, family, label, reason), of in units.groupby(["status", "family", "label", "reason"]):
        step = of.checkpoint.max()
        where = family if step == NONE else f"{family}, shared checkpoint"
        rows.append(
            [Cell(str(status)), Cell(str(where)), Cell(str(label)), Cell(str(len(of)), len(of)), Cell(str(reason))]
        )
    columns = ["status", "family", "estimator", "runs", "reason"]
    note = "None of these counts in any mean."
    return Listing("endings", "What did not end well", note, columns, rows, [False, False, False, True, False])
