"""What the report prints: the comparison, and the runs that failed or were skipped."""

import math
from typing import TYPE_CHECKING

from bench.report.collection.collect import PANEL
from bench.report.collection.endings import LOST, remarks_of
from bench.report.figures.panels import title
from bench.tables.skipped import in_one_line
from bench.terminal import cell, plain

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import Console
    from rich.table import Table

SHOWN = {  # the last ones give way first on a narrow terminal
    "iwae_test": "IWAE bound, test",
    "elbo_test": "ELBO, test",
    "variance_noise_encoder": "variance",
    "variance_x_evaluations": "var x evals",
    "variance_x_seconds": "var x s",
    "bias_sq": "bias²",
    "evaluations": "evals",
    "seconds_gradient": "s/grad",
}


def show_comparison(table: "pd.DataFrame") -> None:
    """A table for each panel: means, and the half width of the 95 % interval of the bound."""
    console = _console()
    for key, rows in table.groupby(PANEL, sort=True):
        bound = "iwae_test" if key[1] == "iwae" else "elbo_test"
        columns = [c for c in SHOWN if c == bound or c not in ("iwae_test", "elbo_test")]
        columns = [c for c in columns if rows[c].notna().any()]
        name = title(key).replace("\n", "; ")
        while console.measure(shown := _panel(name, rows, columns, bound)).minimum > console.width and columns:
            columns.pop()
        console.print(shown)
        console.print()


def _panel(name: str, rows: "pd.DataFrame", columns: list[str], bound: str) -> "Table":
    from rich.table import Table

    shown = Table(title=cell(name), title_justify="left", box=None, header_style="bold", pad_edge=False)
    shown.add_column("estimator", min_width=min(24, rows.label.str.len().max()), overflow="fold")
    for header in ["seeds", *(SHOWN[c] for c in columns)]:
        shown.add_column(header, justify="right", no_wrap=True)
    for _, row in rows.iterrows():
        cells = [_bound(row, c) if c == bound else _number(row[c]) for c in columns]
        words = remarks_of(row)
        shown.add_row(cell(f"{row.label} ({words})" if words else row.label), str(row.seeds), *cells)
    return shown


def _console() -> "Console":
    from rich.console import Console

    console = Console()
    return console if console.is_terminal else Console(width=140)


def show_endings(units: "pd.DataFrame") -> None:
    """The runs that failed or diverged, with their reasons, and in one line those that were skipped, whose reasons are
    on the page; nothing where all are done."""
    from rich.table import Table

    skipped = units[units.status == "skipped"]
    if len(skipped):
        print(plain(in_one_line(zip(skipped.label, skipped.family, strict=True))))
    units = units[units.status.isin(LOST)].assign(reason=units.reason.fillna("-"))
    ended = units.groupby(["status", "family", "label", "reason"]).size().reset_index(name="runs")
    if ended.empty:
        return
    shown = Table(title="Failed and diverged runs", title_justify="left", box=None, header_style="bold", pad_edge=False)
    for column in ("status", "family", "estimator", "runs", "reason"):
        shown.add_column(column, overflow="fold")
    for row in ended.to_dict("records"):
        shown.add_row(*(cell(row[column]) for column in ("status", "family", "label", "runs", "reason")))
    _console().print(shown)


def _bound(row: "pd.Series", column: str) -> str:
    half = (row[f"{column}_high"] - row[f"{column}_low"]) / 2
    return _number(row[column]) if math.isnan(half) else f"{row[column]:.2f} ± {half:.2f}"


def _number(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.2g}" if abs(value) < 100 else f"{value:.0f}"
