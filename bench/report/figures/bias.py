"""The share of bias in the error of a gradient."""

from typing import TYPE_CHECKING

from bench.report.collection.collect import Collection
from bench.report.collection.gradients import last, relative
from bench.report.collection.simultaneous import ENOUGH
from bench.report.collection.statistics import Interval, draws_interval, log_t_interval
from bench.report.figures import points
from bench.report.figures.marks import point, series
from bench.report.figures.panels import BARS, clean_log_axis, grid, panels, title
from bench.report.figures.style import Look, Looks
from bench.report.page.numbers import bounded, number
from bench.tables.schema import OWN_TRAINING

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def bias(collection: Collection, looks: Looks, part: str) -> "Figure":
    """Squared bias and noise, the two parts of an estimate's mean squared error, divided by the squared norm of the
    reference.

    The 95 % bars of the bias come from the standard error of the draws; those of the noise from the seeds, or at shared
    checkpoints from the draws too.
    """
    rows = collection.joined("gradient")
    rows = relative(last(rows[rows.part == part], "part"))
    rows = rows[rows.relative_bias_sq.notna()]
    keyed = panels(rows, f"bias_sq of the part {part}: no run was measured against a reference")
    figure, axes = grid(len(keyed), 4.2, [1.3 + points.ROW * frame.label.nunique() for _, frame in keyed])
    for ax, (key, frame) in zip(axes, keyed, strict=True):
        error = (frame.relative_bias_sq.clip(lower=0) + frame.relative_variance_noise).groupby(frame.label).mean()
        names = list(error.sort_values(ascending=False, kind="stable").index)
        ax.set_xscale("log")
        for y, name in enumerate(names):
            with series(ax, name):
                _error_row(ax, y, frame[frame.label == name], looks[name])
        ax.set_yticks(range(len(names)), names)
        ax.set_ylim(-0.6, len(names) - 0.4)
        ax.set(xlabel=f"relative to the squared norm of the reference, {part}", title=title(key))
        clean_log_axis(ax.xaxis)
    arrow = {"marker": "$\\leftarrow$", "markersize": 8, "color": "#555555"}
    shown = {"squared bias": {"markerfacecolor": "#555555"}, "noise variance": {"markerfacecolor": "white"}}
    bars = BARS if (rows.trained_with == OWN_TRAINING).all() else "bars: 95 % by the draws"
    points.marker_legend(figure, shown | {"squared bias at most (95 %)": arrow}, bars)
    return figure


def relative_bias(rows: "pd.DataFrame") -> Interval:
    """Relative squared bias, mean over runs, with the draws' error, of rows of `relative`.

    Whether there is a bias at these checkpoints is for the draws to say, however much it varies between seeds.
    """
    return draws_interval(rows.relative_bias_sq, rows.relative_bias_sq_se)


def _error_row(ax: "Axes", y: int, rows: "pd.DataFrame", look: Look) -> None:
    drawn, name = bool((rows.trained_with != OWN_TRAINING).all()), str(rows.label.iloc[0])
    noise = log_t_interval(rows.relative_variance_noise)
    if drawn:
        noise = draws_interval(rows.relative_variance_noise, rows.relative_variance_noise_se)
    if noise.mean > 0:
        point(ax, name, noise.mean, y, f"noise {bounded(*noise)}")
    if noise.mean > 0:
        if (drawn or noise.n >= ENOUGH) and noise.low > 0:
            ax.plot([noise.low, noise.high], [y, y], color=look.colour, linewidth=0.9, alpha=0.7)
        ax.plot(
            noise.mean,
            y,
            marker=look.marker,
            linestyle="none",
            color=look.colour,
            markerfacecolor="white",
            markeredgewidth=0.9,
            zorder=3,
        )
    mean, low, high, _ = relative_bias(rows)
    if max(mean, high) > 0:
        found = bounded(mean, low, high) if low > 0 or low != low else f"at most {number(high)}"
        point(ax, name, mean if low > 0 or low != low else high, y, f"squared bias {found}")
    if low > 0 or (mean > 0 and low != low):
        ax.plot([low, high], [y, y], color=look.colour, linewidth=0.9, alpha=0.7)
        ax.plot(mean, y, marker=look.marker, linestyle="none", color=look.colour, zorder=3)
    elif high > 0:
        ax.annotate(
            "",
            (high / 4, y),
            (high, y),
            arrowprops={"arrowstyle": "->", "color": look.colour, "shrinkA": 0, "shrinkB": 0},
        )
        ax.plot(high, y, "|", color=look.colour, markersize=6)
        ax.plot(high / 4, y, ",", alpha=0)  # the arrow alone would not widen the axis
