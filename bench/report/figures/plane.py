"""Bias against variance, both free of scale: where an estimator lies, whichever length its gradient has."""

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.report.collection import labels
from bench.report.collection.collect import Collection
from bench.report.collection.gradients import last
from bench.report.collection.statistics import Interval, draws_interval
from bench.report.figures.marks import point, series
from bench.report.figures.panels import clean_log_axis, grid, legend, panels, title
from bench.report.figures.style import Look, Looks
from bench.report.page.numbers import bounded, number

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LEAST = 1e-6  # a relative squared bias below this is drawn here
NOTE = (
    "bars: 95 % by the draws; ↓ upper limit of a squared bias that does not differ significantly from 0; grey: equal "
    "error of one gradient; a line joins the temperatures of one estimator"
)


def bias_vs_variance(collection: Collection, looks: Looks, part: str) -> "Figure":
    """Squared bias against noise at the last step, divided by the squared norm of the reference. Each estimate is first
    scaled to the length of the reference, since optimisers such as Adam ignore the length of a gradient."""
    rows = collection.joined("gradient")
    rows = last(rows[rows.part == part], "part")
    rows = rows[(rows.reference_norm_sq > 0) & rows.bias_sq_scaled.notna() & (rows.variance_scaled > 0)]
    keyed = panels(rows, f"bias_sq_scaled of the part {part}: no run was measured against a reference")
    figure, axes = grid(len(keyed), 3.7, [3.3] * len(keyed))
    heat = _temperatures(collection)
    for ax, (key, frame) in zip(axes, keyed, strict=True):
        found = {str(name): _ends(of) for name, of in frame.groupby("label")}
        ax.set(xscale="log", yscale="log", xlabel=f"relative noise, {part}", ylabel=f"relative squared bias, {part}")
        ax.set_title(title(key))
        _lines_of_equal_error(ax, found)
        for path in _paths({str(name): heat[of.run.iloc[0]] for name, of in frame.groupby("label")}):
            with series(ax, path[0]):
                xs, ys = zip(*((found[n][0].mean, _height(found[n][1])) for n in path), strict=True)
                ax.plot(xs, ys, color=looks[path[0]].colour, linewidth=0.8, alpha=0.7, zorder=1)
        for name, (noise, bias) in found.items():
            with series(ax, name):
                _mark(ax, noise, bias, looks[name])
            words = bounded(*bias) if bias.low > 0 else f"at most {number(max(bias.high, LEAST))}"
            point(ax, name, noise.mean, _height(bias), f"squared bias {words}; noise {bounded(*noise)}")
        ends = np.array([(noise.mean, _height(bias)) for noise, bias in found.values()])
        ax.set_xlim(ends[:, 0].min() / 2.5, ends[:, 0].max() * 2.5)  # bars may reach further
        ax.set_ylim(ends[:, 1].min() / 6, ends[:, 1].max() * 2.5)
        clean_log_axis(ax.xaxis)
        clean_log_axis(ax.yaxis)
    legend(figure, rows.label, looks, NOTE)
    return figure


def _ends(rows: "pd.DataFrame") -> tuple[Interval, Interval]:
    """Relative noise and squared bias."""
    size = rows.reference_norm_sq
    noise = draws_interval(rows.variance_scaled / size, rows.variance_scaled_se / size)
    return noise, draws_interval(rows.bias_sq_scaled / size, rows.bias_sq_scaled_se / size)


def _height(bias: Interval) -> float:
    """The height at which a squared bias is drawn: its value, or its upper limit if it is not significant."""
    told = bias.low > 0 or (bias.mean > 0 and np.isnan(bias.low))
    return max(bias.mean if told else bias.high, LEAST) if told or not np.isnan(bias.high) else LEAST


def _mark(ax: "Axes", noise: Interval, bias: Interval, look: Look) -> None:
    y, bar = _height(bias), {"color": look.colour, "linewidth": 0.8, "alpha": 0.6}
    told = y == bias.mean
    if noise.low > 0:
        ax.plot([noise.low, noise.high], [y, y], **bar)  # type: ignore[arg-type]
    if told and bias.low > 0:
        ax.plot([noise.mean] * 2, [bias.low, bias.high], **bar)  # type: ignore[arg-type]
    elif not told:
        arrow = {"arrowstyle": "->", "color": look.colour, "shrinkA": 0, "shrinkB": 0}
        ax.annotate("", (noise.mean, y / 4), (noise.mean, y), arrowprops=arrow)
    face: Any = {"markerfacecolor": look.colour if told else "white", "markeredgewidth": 0.9}
    ax.plot(noise.mean, y, marker=look.marker, linestyle="none", color=look.colour, zorder=3, **face)


def _lines_of_equal_error(ax: "Axes", found: dict[str, tuple[Interval, Interval]]) -> None:
    """Lines along which squared bias + noise is constant."""
    largest = max(noise.mean + _height(bias) for noise, bias in found.values())
    lowest = min(min(noise.mean for noise, _ in found.values()), min(_height(bias) for _, bias in found.values()))
    for power in range(int(np.floor(np.log10(lowest))) + 1, int(np.ceil(np.log10(largest))) + 1):
        share = np.concatenate([np.logspace(-6, -0.31, 60), 1 - np.logspace(-0.31, -6, 60)])
        line = 10.0**power * share, 10.0**power * (1 - share)
        ax.plot(*line, color="#BBBBBB", linewidth=0.7, linestyle=":", zorder=0)


def _temperatures(collection: Collection) -> dict[str, tuple[str, float | None]]:
    """For each run, its estimator without the temperature, and the temperature, or None."""
    found = {}
    for row in collection.tables["runs"].to_pylist():
        config = {k: v for k, v in labels.flatten(json.loads(row["config"])).items() if k.startswith("estimator.")}
        temperature = config.pop("estimator.temperature", None)
        numeric = isinstance(temperature, int | float) and not isinstance(temperature, bool)
        found[row["run"]] = json.dumps([row["estimator"], config], sort_keys=True), temperature if numeric else None
    return found


def _paths(heat: dict[str, tuple[str, float | None]]) -> list[list[str]]:
    """Groups of two or more labels that differ in temperature alone, from the lowest temperature."""
    of: dict[str, list[tuple[float, str]]] = {}
    for label, (rest, temperature) in heat.items():
        if temperature is not None:
            of.setdefault(rest, []).append((temperature, label))
    return [[label for _, label in sorted(path)] for path in of.values() if len(path) > 1]
