"""Figures of a tuning: the bound over what was varied, and what a smaller budget would have found."""

from typing import TYPE_CHECKING, Any

import numpy as np

from bench.report.collection.collect import PANEL, UNIT, Collection, Group
from bench.report.collection.orders import expected_best
from bench.report.figures.panels import Missing, clean_log_axis, grid, legend, panels, title
from bench.report.figures.style import Looks

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NEEDED = "tuning that is at its end"
LEAST = 4  # points of a contour
ROOM = 1.5  # how far an axis of bounds reaches below the median point, in distances of that from the best
CHOSEN: dict[str, Any] = {
    "marker": "*",
    "markersize": 12,
    "markeredgecolor": "black",
    "markeredgewidth": 0.7,
    "zorder": 5,
}


def bound_vs_lr(collection: Collection, looks: Looks, part: str) -> "Figure":
    """The bound that decides, at the last step, against the learning rate. Dots: all points, mean over the seeds of the
    tuning; curves: the best of those at each learning rate; star: the chosen one."""
    keyed = panels(tried(collection), NEEDED)
    figure, axes = grid(len(keyed), 3.7, [2.9] * len(keyed))
    for ax, (key, frame) in zip(axes, keyed, strict=True):
        low = lowest(frame)
        for name, rows in frame.groupby("label"):
            look, best = looks[str(name)], rows.groupby("lr").bound.max().dropna()
            ax.plot(best.index, best, color=look.colour, linestyle=look.linestyle)
            ax.plot(rows.lr, rows.bound, look.marker, color=look.colour, markersize=3.5, markeredgecolor="white")
            chosen = rows[rows.chosen]
            ax.plot(chosen.lr, chosen.bound, color=look.colour, linestyle="none", **CHOSEN)
        _below(ax, frame, low)
        ax.set(xscale="log", xlabel="learning rate", ylabel=_of(key, frame), title=title(key))
        clean_log_axis(ax.xaxis)
    legend(figure, [name for _, frame in keyed for name in frame.label], looks, "star: chosen")
    return figure


def bound_over_temperature(collection: Collection, looks: Looks, part: str) -> "Figure":
    """The bound that decides over learning rate and temperature, linear between the points that were tried, which are
    dots; star: the chosen one. What lies below the axis of bound_vs_lr has the darkest colour; a point without a bound
    is a cross."""
    rows = tried(collection)
    rows = rows[rows.temperature.notna()]
    cells = [(key, frame) for key, frame in rows.groupby(UNIT) if _spread(frame.dropna(subset=["bound"]))]
    if not cells:
        raise Missing(f"there is no {NEEDED} with {LEAST} temperatures and learning rates that are not on a line")
    panels(rows[rows.label.isin({key[-1] for key, _ in cells})], NEEDED)  # not too many
    figure, axes = grid(len(cells), 3.7, [3.1] * len(cells))
    for ax, (key, frame) in zip(axes, cells, strict=True):
        there = frame.dropna(subset=["bound"])
        x, y = np.log10(there.lr.to_numpy(float)), np.log10(there.temperature.to_numpy(float))
        levels = np.linspace(lowest(frame), there.bound.max(), 11)
        if levels[0] < levels[-1]:
            height = there.bound.clip(lower=levels[0]).to_numpy(float)
            drawn = ax.tricontourf(x, y, height, levels=levels, cmap="viridis")
            figure.colorbar(drawn, ax=ax, label=_of(key, frame), format="%.1f")
        ax.plot(x, y, ".", color="black", markersize=3)
        lost = frame[frame.bound.isna()]
        ax.plot(np.log10(lost.lr), np.log10(lost.temperature), "x", color="black", markersize=4)
        chosen = frame[frame.chosen]
        ax.plot(np.log10(chosen.lr), np.log10(chosen.temperature), color="white", linestyle="none", **CHOSEN)
        ax.set(xlabel="learning rate", ylabel="temperature", title=f"{title(key[:-1])}\n{key[-1]}")
        ax.margins(0.08)  # room for a star on the edge
        ax.locator_params(nbins=4)
        for axis in (ax.xaxis, ax.yaxis):
            axis.set_major_formatter(lambda value, _: f"{10**value:.2g}")
    return figure


def best_vs_budget(collection: Collection, looks: Looks, part: str) -> "Figure":
    """The mean of the best bound that a smaller budget would have found: over all choices of so many of the points that
    were tried. A curve begins where no choice has points alone that have no bound."""
    from matplotlib.ticker import MaxNLocator

    keyed = panels(tried(collection), NEEDED)
    figure, axes = grid(len(keyed), 3.7, [2.9] * len(keyed))
    for ax, (key, frame) in zip(axes, keyed, strict=True):
        for name, rows in frame.groupby("label"):
            look, (budgets, means) = looks[str(name)], expected_best(rows.bound)
            edge: dict[str, Any] = {"markeredgecolor": "white", "markersize": 4}
            ax.plot(budgets, means, color=look.colour, linestyle=look.linestyle, marker=look.marker, **edge)
        ax.set(xlabel="points", ylabel=f"expected best\n{_of(key, frame)}", title=title(key))
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    legend(figure, [name for _, frame in keyed for name in frame.label], looks, "of the points' own order statistics")
    return figure


def tried(collection: Collection) -> "pd.DataFrame":
    """A row for each point of each label that was trained to the end: number, lr, temperature, chosen, and `bound`, the
    mean over seeds, NaN where a seed has none."""
    rows = collection.tuning
    rows = rows[(rows.role == "point") & (rows.share == 1) & rows.label.notna()]
    rows = rows.assign(chosen=rows.chosen.eq(True), lost=rows.bound.isna())
    columns = {"lr": "first", "temperature": "first", "chosen": "any", "split": "first", "bound": "mean", "lost": "any"}
    found = rows.groupby([*UNIT, "point"]).agg(columns).reset_index()
    return found.assign(bound=found.bound.mask(found.lost))


def lowest(frame: "pd.DataFrame") -> float:
    """Where the axis of the bounds ends below: hopeless points must not press the others together."""
    bounds = frame.bound.dropna()
    best, middle = (bounds.max(), bounds.median()) if len(bounds) else (0.0, 0.0)
    return float(max(bounds.min() if len(bounds) else 0.0, middle - ROOM * max(best - middle, 1.0)))


def _below(ax: "Axes", frame: "pd.DataFrame", low: float) -> None:
    """Let the axis end at `low`, and say how many points are not on it."""
    top = frame.bound.max()
    if np.isnan(top):
        return
    room = 0.05 * max(top - low, 0.1)
    ax.set_ylim(low - room, top + room)
    notes = {"below the axis": int((frame.bound < low).sum()), "without a bound": int(frame.bound.isna().sum())}
    if words := ", ".join(f"{count} points {what}" for what, count in notes.items() if count):
        ax.text(0.015, 0.015, words, transform=ax.transAxes, fontsize=7, style="italic", color="#555555")


def _spread(frame: "pd.DataFrame") -> bool:
    """Whether a contour can be drawn: enough points, and not on a line."""
    x, y = np.log10(frame.lr.to_numpy(float)), np.log10(frame.temperature.to_numpy(float))
    if len(frame) < LEAST:
        return False
    return bool(np.linalg.matrix_rank(np.stack([x - x[0], y - y[0]]), tol=1e-6) == 2)


def _of(key: Group, frame: "pd.DataFrame") -> str:
    """The label of the bound."""
    return f"{frame.split.iloc[0]} {'IWAE bound' if key[PANEL.index('objective')] == 'iwae' else 'ELBO'} (nats)"
