"""The table of the page that compares with a baseline over problems."""

from typing import TYPE_CHECKING, Any

from bench.report.page.listing import Cell, Listing
from bench.report.page.numbers import bounded, number, percent

if TYPE_CHECKING:
    import pandas as pd

QUANTITIES = {
    "variance_x_evaluations": "noise at equal evaluations, ratio",
    "variance_x_seconds": "noise at equal time, ratio",
    "bound": "bound, difference (nats)",
}
WHERE = {"own": "own trajectories", "shared": "shared checkpoints"}


def ranks_listing(table: "pd.DataFrame", units: "pd.DataFrame") -> Listing:
    """Every estimator against the baseline; `units` say which of them claim to be unbiased."""
    claims: Any = dict(zip(units.label, units.unbiased, strict=True))
    found: Any = table.itertuples()
    rows = []
    for row in found:
        cells = [Cell(WHERE[row.trained_with]), Cell(QUANTITIES[row.quantity]), Cell(row.label)]
        cells += [Cell({True: "yes", False: "no"}.get(claims.get(row.label), "")), Cell(row.baseline)]
        cells.append(Cell(bounded(row.value, row.low, row.high, 2 if row.problems > 1 else 0), float(row.value)))
        known = row.probability == row.probability
        cells.append(Cell(percent(row.probability) if known else "", float(row.probability) if known else None))
        cells.append(Cell(row.verdict))
        cells.append(Cell(number(row.p), None if row.p != row.p else float(row.p)))
        rows.append([*cells, Cell(str(row.problems), int(row.problems))])
    columns = ["measured along", "quantity", "estimator", "claims unbiased", "baseline", "against the baseline",
               "P(better on a new problem)", "verdict", "p (Holm)", "problems"]  # fmt: skip
    note = (
        "Geometric mean over problems, which are the panels of this report [95 % Student-t interval over problems, or "
        "over seeds if there is one problem]. The verdict is better or worse by more than 10 % (bound: 0.5 nat), equal "
        "within that, or undecided. With 95 % confidence no verdict of a quantity is wrong (Holm). The probability is "
        "that for a new problem of the same kind with new seeds; it needs two problems or more."
    )
    numeric = [False] * 5 + [True, True, False, True, True]
    return Listing("ranks", "Over all problems", note, columns, rows, numeric)
