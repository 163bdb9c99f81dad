"""The numbers of the report's first screen as a table, estimator by metric: rows of values, and LaTeX."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

from bench.report.collection.collect import Collection, Group
from bench.report.figures.panels import title
from bench.report.page.answer import Ranking, rankings
from bench.report.page.criteria import CRITERIA
from bench.terminal import plain

if TYPE_CHECKING:
    import pandas as pd

METRICS = {criterion.name: criterion.title for criterion in CRITERIA}
SYMMETRIC = 1.5  # an interval whose ends are within this factor of the value is written as value and half its width
ENDS = {"": "value", "_low": "low", "_high": "high", "_best": "best"}


def values(collection: Collection, metrics: Sequence[str], names: dict[str, str]) -> "pd.DataFrame":
    """A row for each panel, estimator and metric: value, low, high (95 %, NaN where there are too few runs), n, `best`
    and `note`. Estimators come in the order of the first metric, the best first; those without noise have value 0."""
    import pandas as pd

    found = [ranking for ranking in rankings(collection) if ranking.criterion.name in metrics]
    found.sort(key=lambda ranking: metrics.index(ranking.criterion.name))
    rows = [row | {"panel": panel_title(ranking.panel)} for ranking in found for row in _rows(ranking)]
    columns = ["panel", "label", "estimator", "metric", "unit", "value", "low", "high", "n", "best", "note"]
    table = pd.DataFrame(rows).reindex(columns=columns)
    table["estimator"] = [names.get(label, label) for label in table.label]
    first = {key: i for i, key in reversed(list(enumerate(zip(table.panel, table.label, strict=True))))}
    place = [first[key] for key in zip(table.panel, table.label, strict=True)]
    table = table.assign(place=place).sort_values(["panel", "place"], kind="stable").drop(columns="place")
    return table.reset_index(drop=True)


def panel_title(panel: Group) -> str:
    """In one line."""
    return title(panel).replace("\n", ", ")


def _rows(ranking: Ranking) -> list[dict[str, Any]]:
    criterion, contenders = ranking.criterion, ranking.contenders
    about = {"metric": criterion.name, "unit": criterion.unit}
    alone = len(contenders) > 1 and ranking.enough and not ranking.ties and not ranking.noiseless
    rows = [{"label": label, "value": 0.0, "best": True, "note": "no noise"} for label in ranking.noiseless]
    for i, contender in enumerate(contenders):
        row = {"label": contender.label, "note": contender.note, "best": alone and i == 0}
        mean, low, high, n = contender.value
        rows.append(row | {"value": mean, "low": low, "high": high, "n": n})
    for words in ranking.behind:
        label, _, note = words.partition(" (")
        rows.append({"label": label, "best": False, "note": note.removesuffix(")")})
    return [row | about for row in rows]


def wide(table: "pd.DataFrame") -> "pd.DataFrame":
    """A row for each panel and estimator; of each metric the columns `<metric>`, `_low`, `_high` and `_best`."""
    import pandas as pd

    rows: dict[tuple[str, str], dict[str, Any]] = {}
    for row in table.to_dict("records"):
        about = {key: row[key] for key in ("panel", "label", "estimator")}
        of = {row["metric"] + end: row[key] for end, key in ENDS.items()}
        rows.setdefault((row["panel"], row["label"]), about).update(of)
    return pd.DataFrame(list(rows.values()))


def latex(panel: str, rows: "pd.DataFrame", metrics: Sequence[str], names: dict[str, str]) -> str:
    """A tabular of one panel, a column for each of the metrics that it has."""
    metrics = [metric for metric in metrics if metric in set(rows.metric)]
    cells = {(row["label"], row["metric"]): latex_cell(cast(dict[str, Any], row)) for row in rows.to_dict("records")}
    units = dict(zip(rows.metric, rows.unit, strict=True))
    heads = [escaped(names.get(m, METRICS[m])) + (f" ({escaped(units[m])})" if units[m] else "") for m in metrics]
    lines = [f"% {plain(panel)}", rf"\begin{{tabular}}{{l{'r' * len(metrics)}}}", r"\toprule"]
    lines += [" & ".join(["Estimator", *heads]) + r" \\", r"\midrule"]
    for label, estimator in dict(zip(rows.label, rows.estimator, strict=True)).items():
        shown = [cells.get((label, metric), "--") for metric in metrics]
        lines.append(" & ".join([escaped(estimator), *shown]) + r" \\")
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", ""])


def latex_cell(row: dict[str, Any]) -> str:
    """`$12.3 \\pm 0.4$`, or the ends of an interval that is far from even; bold where it is the best."""
    value, low, high = row["value"], row["low"], row["high"]
    if value != value:
        return "--"
    digits = decimals(value, low, high)
    shown = [rf"{number:.{digits}f}" for number in (value, (high - low) / 2, low, high)]
    if low != low or high != high:
        text = shown[0]
    elif abs(high - value) <= SYMMETRIC * abs(value - low) or row["metric"] == "bound":
        text = rf"{shown[0]} \pm {shown[1]}"
    else:
        text = rf"{shown[0]}\;[{shown[2]}, {shown[3]}]"
    return rf"$\mathbf{{{text}}}$" if row["best"] else f"${text}$"


def decimals(value: float, low: float, high: float) -> int:
    """So many that half of the interval, or else the value, has two digits."""
    half = (high - low) / 2
    size = half if half == half and half > 0 else abs(value)
    return max(0, 1 - math.floor(math.log10(size))) if size > 0 and math.isfinite(size) else 0


def escaped(text: str) -> str:
    """Data as LaTeX shows them."""
    special = {c: f"\\{c}" for c in "&%$#_{}"} | {"~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
    special |= {"\\": r"\textbackslash{}", "²": "$^2$", "×": r"$\times$", "<": "$<$", ">": "$>$"}
    return "".join(special.get(c, c) for c in plain(text))
