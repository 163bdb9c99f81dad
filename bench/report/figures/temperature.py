"""The bias of the estimators of a VQ posterior as its temperature falls."""

import json
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from bench.report.collection import labels
from bench.report.collection.collect import PANEL, Collection
from bench.report.collection.gradients import relative
from bench.report.collection.statistics import Interval, draws_interval
from bench.report.figures.bias import relative_bias
from bench.report.figures.marks import point, series
from bench.report.figures.panels import clean_log_axis, grid, legend, panels, title
from bench.report.figures.style import Look, Looks
from bench.report.page.numbers import bounded, number

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

KEY = "latent.temperature"
FLOOR = 1e-6  # a bias of a thousandth of the gradient: what is smaller is drawn here, as at most this
BARS = "bars: 95 % error of the draws; ↓ upper limit of a squared bias that does not differ significantly from 0"


def bias_vs_temperature(collection: Collection, looks: Looks, part: str) -> "Figure":
    """Relative squared bias, divided by the squared norm of the reference, and the cosine with the reference, against
    the temperature of the posterior, at the first and at the last step measured.

    The 95 % bars come from the standard error of the draws, as in the figure `bias`.
    """
    rows = _by_temperature(collection, part)
    rows = rows[rows.groupby(PANEL)[KEY].transform("nunique") > 1]
    keyed = panels(rows, f"bias_sq of the part {part} at several values of {KEY}")
    cells = [
        (draw, key, step, frame[frame.step == step])
        for key, frame in keyed
        for draw in (_bias, _cosine)
        for step in sorted({frame.step.min(), frame.step.max()})
    ]
    figure, axes = grid(len(cells), 3.7, [2.7] * len(cells))
    for ax, (draw, key, step, frame) in zip(axes, cells, strict=True):
        ax.set(xscale="log", xlabel="temperature of the posterior", title=f"{title(key)}, step {step}")
        draw(ax, frame, looks, part)
        ticks = sorted(frame[KEY].unique())
        ax.set_xticks(ticks, [f"{t:g}" for t in ticks])
        ax.minorticks_off()
    legend(figure, rows.label, looks, BARS)
    return figure


def _by_temperature(collection: Collection, part: str) -> "pd.DataFrame":
    """The rows with a bias and a temperature, which is a column here and no part of the setting."""
    runs = {row["run"]: labels.flatten(json.loads(row["config"])) for row in collection.tables["runs"].to_pylist()}
    rows = collection.joined("gradient")
    rows = relative(rows[rows.part == part])
    rows = rows[rows.relative_bias_sq.notna()]
    rows = rows.assign(**{KEY: [float(runs[run].get(KEY, 0)) for run in rows.run]})
    rows = rows[rows[KEY] > 0]  # at 0 the posterior is a point mass, and no exact gradient is its limit
    others = {run: {k: v for k, v in runs[run].items() if k != KEY} for run in rows.run}
    keys = labels.problem_keys(list(others.values()))
    settings = [labels.describe(others[run], keys) for run in rows.run]
    return rows.assign(setting=[f"{s} {c}".strip() for s, c in zip(settings, rows.conditions, strict=True)])


def _bias(ax: "Axes", frame: "pd.DataFrame", looks: Looks, part: str) -> None:
    ax.set(yscale="log", ylabel=f"relative squared bias, {part}")
    names = sorted(frame.label.unique())
    for i, name in enumerate(names):
        look, aside = looks[name], 10 ** (0.03 * (i - (len(names) - 1) / 2))  # arrows would hide each other
        x, middle, low, high = _curve(frame[frame.label == name], relative_bias)
        found = (middle > FLOOR) & ~(low <= 0)  # one draw has no error: NaN
        limited = ~found & ~np.isnan(high)
        with series(ax, name):
            _line(ax, x, np.where(found, middle, np.nan), np.maximum(low, FLOOR), high, look)
            for at, top in zip(x[limited] * aside, np.maximum(high[limited], FLOOR), strict=True):
                ax.plot(at, top, "_", color=look.colour, markersize=6, markeredgewidth=1.2)
                arrow = {"arrowstyle": "->", "color": look.colour, "shrinkA": 0, "shrinkB": 0}
                ax.annotate("", (at, top / 3), (at, top), arrowprops=arrow)
                ax.plot(at, top / 4, ",", alpha=0)  # the arrow alone would not widen the axis
        _points(ax, name, x[found], middle[found], low[found], high[found])
        for at, top in zip(x[limited], np.maximum(high[limited], FLOOR), strict=True):
            point(ax, name, at * aside, top, f"temperature {at:g}: at most {number(top)}")
    clean_log_axis(ax.yaxis)


def _cosine(ax: "Axes", frame: "pd.DataFrame", looks: Looks, part: str) -> None:
    ax.set(ylabel=f"cosine with the reference, {part}")
    for name, rows in frame.groupby("label"):
        x, middle, low, high = _curve(rows, lambda of: draws_interval(of.cosine, of.cosine_se))
        with series(ax, str(name)):
            _line(ax, x, middle, low, high, looks[str(name)])
        _points(ax, str(name), x, middle, low, high)
    ax.set_ylim(top=1 + 0.05 * (1 - ax.get_ylim()[0]))


def _curve(rows: "pd.DataFrame", interval: Callable[["pd.DataFrame"], Interval]) -> list[np.ndarray]:
    """Temperatures, and the interval's middle, lower and upper end at each."""
    points = [(x, *interval(of)[:3]) for x, of in rows.groupby(KEY)]
    return list(np.array(points, dtype=float).T)


def _points(ax: "Axes", name: str, x: np.ndarray, middle: np.ndarray, low: np.ndarray, high: np.ndarray) -> None:
    for at, *ends in zip(x, middle, low, high, strict=True):
        if np.isfinite(ends[0]):
            point(ax, name, at, ends[0], f"temperature {at:g}: {bounded(*map(float, ends))}")


def _line(ax: "Axes", x: np.ndarray, middle: np.ndarray, low: np.ndarray, high: np.ndarray, look: Look) -> None:
    ax.plot(x, middle, color=look.colour, marker=look.marker, linestyle=look.linestyle, markeredgecolor="white")
    shown = ~np.isnan(middle + low)
    ax.vlines(x[shown], low[shown], high[shown], color=look.colour, alpha=0.45, linewidth=0.9)
