"""How long each estimator trains until its bound is that of the baseline."""

from typing import TYPE_CHECKING, Any

import numpy as np

from bench.report.collection.collect import Collection
from bench.report.collection.level import PRICES, median, passages
from bench.report.figures.marks import point, series
from bench.report.figures.panels import Missing, clean_log_axis, grid, panels, title
from bench.report.figures.points import ROW
from bench.report.figures.style import Looks
from bench.report.page.numbers import number

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

AXES = {"seconds": "training time (s)", "evaluations": "evaluations per example"}
CENSORED = "$\\rightarrow$"  # no look has it as its marker


def time_to_level(collection: Collection, looks: Looks, part: str) -> "Figure":
    """Training time and evaluations until the bound first reaches a level: the baseline's bound at the last step minus
    0.5 nat. Small marks: runs; large marks: their median, if more than half reach the level; arrows: runs that ended
    below the level."""
    cells = [
        (key, frame, price)
        for key, frame in panels(passages(collection), "bound along a training")
        for price in PRICES
        if (frame[price] > 0).any()
    ]
    if not cells:
        raise Missing("there is no bound after the first step")
    figure, axes = grid(len(cells), 4.4, [1.2 + ROW * frame.label.nunique() for _, frame, _ in cells])
    for ax, (key, frame, price) in zip(axes, cells, strict=True):
        of = {str(name): rows for name, rows in frame.groupby("label")}
        names = sorted(of, key=lambda name: [np.nan_to_num(_median(of[name], p), nan=np.inf) for p in PRICES])[::-1]
        lowest = frame[price].where(frame[price] > 0).min() / 2  # stands for 0, which a log axis lacks
        for y, name in enumerate(names):
            _row(ax, name, of[name].assign(**{price: of[name][price].clip(lower=lowest)}), price, y, looks)
        counts = {name: f"{rows.passed.sum()} of {len(rows)}" for name, rows in of.items()}
        ax.set_yticks(range(len(names)), [n if of[n].passed.all() else f"{n} ({counts[n]})" for n in names])
        until = f"until the {frame.split.iloc[0]} bound is {frame.level.iloc[0]:.1f}"
        ax.set(xscale="log", ylim=(-0.6, len(names) - 0.4), xlabel=f"{AXES[price]}\n{until}", title=title(key))
        clean_log_axis(ax.xaxis)
    return figure


def _row(ax: "Axes", name: str, rows: "pd.DataFrame", price: str, y: int, looks: Looks) -> None:
    """The runs of one configuration and their median."""
    ink: dict[str, Any] = {"color": looks[name].colour, "linestyle": "none"}
    there, middle = rows[rows[price].notna()], _median(rows, price)
    shown = {".": there[price][there.passed], CENSORED: there[price][~there.passed]}
    with series(ax, name):
        for marker, values in shown.items():
            ax.plot(values, [y] * len(values), marker=marker, markersize=5 if marker == "." else 8, **ink)
        if not np.isnan(middle):
            ax.plot(middle, y, marker=looks[name].marker, markersize=6.5, markeredgecolor="white", zorder=3, **ink)
    if len(there):
        words = "not reached by half of them" if np.isnan(middle) else f"median {number(middle)}"
        at = there[price].max() if np.isnan(middle) else middle
        point(ax, name, at, y, f"{rows.passed.sum()} of {len(rows)} runs pass; {price}: {words}")


def _median(rows: "pd.DataFrame", price: str) -> float:
    return median(rows[price], rows.passed)
