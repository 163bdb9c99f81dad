"""The variance of the estimators of a problem with known answers, against the problem's parameter."""

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.report.collection import labels
from bench.report.collection.collect import PANEL, Collection
from bench.report.collection.statistics import draws_interval
from bench.report.figures.marks import point, series
from bench.report.figures.panels import clean_log_axis, grid, legend, panels, title
from bench.report.figures.style import Look, Looks
from bench.report.page.numbers import bounded

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

GROUP = "problem"
BARS = "points: measured, bars: 95 % error of the draws; lines: exact, where it is known"
ROUNDING = 1e-16  # of the largest noise of a panel: what is below has none but that of the arithmetic
WIDE = 20  # a parameter whose values span more than this factor is on a log axis


def variance_vs_parameter(collection: Collection, looks: Looks, part: str) -> "Figure":
    """Noise variance at the first step measured, against the parameter of the problem that has the most values. Lines
    show the exact variance. Estimators without noise are not drawn."""
    keyed = panels(_by_parameter(collection, part), f"variance of the part {part} at several values of a parameter")
    figure, axes = grid(len(keyed), 3.7, [2.9] * len(keyed))
    for ax, (key, frame) in zip(axes, keyed, strict=True):
        ax.set(yscale="log", ylabel=f"noise variance, {part} (nats²)", title=title(key), xlabel=frame.key.iloc[0])
        if frame.x.min() > 0 and frame.x.max() / frame.x.min() > WIDE:
            ax.set_xscale("log")
        least = ROUNDING * frame.variance_noise.max()
        frame = frame.assign(**{c: frame[c].mask(frame[c] < least, 0.0) for c in ("variance_noise", "variance_exact")})
        for name, rows in frame.groupby("label"):
            with series(ax, str(name)):
                _draw(ax, rows, looks[str(name)])
        if frame.variance_noise.max() > 0:
            clean_log_axis(ax.yaxis)
    legend(figure, [name for _, frame in keyed for name in frame.label], looks, BARS)
    return figure


def _by_parameter(collection: Collection, part: str) -> "pd.DataFrame":
    """The rows of problems that were measured at several values of a parameter, which is a column `x` here, named in
    `key`, and no part of the setting."""
    runs = {row["run"]: labels.flatten(json.loads(row["config"])) for row in collection.tables["runs"].to_pylist()}
    rows = collection.joined("gradient")
    rows = rows[(rows.part == part) & rows.variance_noise.notna()]
    rows = rows[rows.step == rows.groupby("run").step.transform("min")]
    rows = rows.assign(problem=[str(runs[run].get(f"{GROUP}.name")) for run in rows.run], key=None, x=np.nan)
    for _, of in rows.groupby("problem"):
        values = {key: {runs[run].get(key) for run in of.run} for key in sorted(runs[of.run.iloc[0]])}
        counts = {k: len(v) for k, v in values.items() if labels.under(k, (GROUP,)) and _numeric(v)}
        configs = [runs[run] for run in of.run]
        key = max(counts, key=lambda k: (counts[k], -_settings(configs, k)), default="")
        if counts.get(key, 1) > 1:
            others = {run: {k: v for k, v in runs[run].items() if k != key} for run in of.run}
            settings = labels.problem_keys(list(others.values()))
            rows.loc[of.index, "key"] = key.removeprefix(f"{GROUP}.")
            rows.loc[of.index, "x"] = [float(runs[run][key]) for run in of.run]
            rows.loc[of.index, "setting"] = [
                " ".join(dict.fromkeys([name, labels.describe(others[run], settings), conditions])).strip()
                for name, run, conditions in zip(of.problem, of.run, of.conditions, strict=True)
            ]
    rows = rows[rows.key.notna()]
    return rows[rows.groupby(PANEL).x.transform("nunique") > 1]


def _settings(configs: "list[labels.FlatConfig]", key: str) -> int:
    """How many settings of the problem there are without this parameter: the fewer, the more of it each one shows."""
    return len({tuple(sorted((k, v) for k, v in c.items() if k != key and k.startswith(GROUP))) for c in configs})


def _numeric(values: set[Any]) -> bool:
    return all(isinstance(v, int | float) and not isinstance(v, bool) for v in values)


def _draw(ax: "Axes", rows: "pd.DataFrame", look: Look) -> None:
    measured = [(x, *draws_interval(of.variance_noise, of.variance_noise_se)[:3]) for x, of in rows.groupby("x")]
    x, middle, low, high = np.array(measured, dtype=float).T
    noisy = middle > 0
    ax.plot(
        x[noisy],
        middle[noisy],
        marker=look.marker,
        linestyle="none",
        color=look.colour,
        markersize=4,
        markeredgecolor="white",
    )
    for at, *ends in zip(x[noisy], middle[noisy], low[noisy], high[noisy], strict=True):
        words = f"{rows.key.iloc[0]} {at:g}: {bounded(*map(float, ends))}"
        point(ax, str(rows.label.iloc[0]), at, ends[0], words)
    barred = noisy & (low > 0)
    ax.vlines(x[barred], low[barred], high[barred], color=look.colour, alpha=0.45, linewidth=0.9)
    exact = rows.groupby("x").variance_exact.mean()
    exact = exact[exact > 0]
    if len(exact):
        ax.plot(exact.index, exact, color=look.colour, linestyle=look.linestyle, linewidth=0.9, alpha=0.8, zorder=1)
