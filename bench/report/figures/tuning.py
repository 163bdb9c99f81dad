"""Figures of a tuning: the bound over what was varied, and what a smaller budget would have found."""

import re
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.report.collection.collect import PANEL, UNIT, Collection, Group
from bench.report.collection.orders import expected_best
from bench.report.figures.marks import below, point, series
from bench.report.figures.panels import Missing, grid, legend, panels, title
from bench.report.figures.style import Looks
from bench.report.page.numbers import nats

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
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
    """The bound by which a tuning chooses, at the last step, against the learning rate. Dots: all points, mean over the
    seeds of the tuning. Curves: the best point at each learning rate; where every point has a learning rate of its own,
    the upper hull of the points. Star: the chosen point."""
    keyed = panels(tried(collection), NEEDED)
    figure, axes = grid(len(keyed), 3.7, [2.9] * len(keyed))
    for ax, (key, frame) in zip(axes, keyed, strict=True):
        low = lowest(frame)
        for name, rows in frame.groupby("label"):
            look = looks[str(name)]
            with series(ax, str(name)):
                ax.plot(*best_of(rows), color=look.colour, linestyle=look.linestyle)
                ax.plot(rows.lr, rows.bound, look.marker, color=look.colour, markersize=3.5, markeredgecolor="white")
                chosen = rows[rows.chosen]
                ax.plot(chosen.lr, chosen.bound, color=look.colour, linestyle="none", **CHOSEN)
            for _, r in rows.dropna(subset=["bound"]).iterrows():
                point(ax, str(name), r.lr, r.bound, _words(r))
        ax.set(xscale="log", xlabel="learning rate", ylabel=_of(key, frame), title=title(key))
        _end_at(ax, frame, low)
        _rates(ax.xaxis)
    legend(figure, [name for _, frame in keyed for name in frame.label], looks, "star: chosen")
    return figure


def bound_over_temperature(collection: Collection, looks: Looks, part: str) -> "Figure":
    """The bound by which a tuning chooses, over learning rate and temperature, interpolated linearly between the points
    tried. Dots: points; star: the chosen point; crosses: points without a bound. Values below the axis of bound_vs_lr
    have the darkest colour."""
    from matplotlib.ticker import MaxNLocator

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
        low, top = lowest(frame), float(there.bound.max())
        if low < top:
            levels, height = MaxNLocator(8).tick_values(low, top), there.bound.clip(lower=low).to_numpy(float)
            ax.tricontourf(x, y, height, levels=levels, cmap="viridis", alpha=0.75)
            lines = ax.tricontour(x, y, height, levels=levels, colors="#333333", linewidths=0.5, linestyles="solid")
            ax.clabel(lines, fontsize=6.5, fmt="%g")
        lost, chosen = frame[frame.bound.isna()], frame[frame.chosen]
        with series(ax, str(key[-1])):
            ax.plot(x, y, ".", color="#111111", markersize=3)
            ax.plot(np.log10(lost.lr), np.log10(lost.temperature), "x", color="#111111", markersize=4)
            ax.plot(np.log10(chosen.lr), np.log10(chosen.temperature), color="#fefefe", linestyle="none", **CHOSEN)
        for _, r in frame.iterrows():
            point(ax, str(key[-1]), np.log10(r.lr), np.log10(r.temperature), _words(r))
        ax.set(xlabel="learning rate", ylabel="temperature", title=f"{title(key[:-1])}\n{key[-1]}: {_of(key, frame)}")
        ax.use_sticky_edges = False
        ax.margins(0.08)  # room for a star on the edge
        ax.locator_params(nbins=4)
        for axis in (ax.xaxis, ax.yaxis):
            axis.set_major_formatter(lambda value, _: f"{10**value:.2g}")
    return figure


def best_vs_budget(collection: Collection, looks: Looks, part: str) -> "Figure":
    """The expected best bound of a smaller budget: the mean over all subsets of this size of the points tried. A curve
    begins at the smallest size at which every subset has a point with a bound."""
    from matplotlib.ticker import MaxNLocator

    keyed = panels(tried(collection), NEEDED)
    figure, axes = grid(len(keyed), 3.7, [2.9] * len(keyed))
    for ax, (key, frame) in zip(axes, keyed, strict=True):
        for name, rows in frame.groupby("label"):
            look, (budgets, means) = looks[str(name)], expected_best(rows.bound)
            edge: dict[str, Any] = {"markeredgecolor": "white", "markersize": 4}
            with series(ax, str(name)):
                ax.plot(budgets, means, color=look.colour, linestyle=look.linestyle, marker=look.marker, **edge)
            for n, mean in zip(budgets, means, strict=True):
                point(ax, str(name), n, mean, f"best of {n}: {nats(mean)}")
        ax.set(xlabel="points", ylabel=f"expected best\n{_of(key, frame)}", title=title(key))
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    legend(figure, [name for _, frame in keyed for name in frame.label], looks, "of the points' own order statistics")
    return figure


def tried(collection: Collection) -> "pd.DataFrame":
    """A row for each point of each label that was trained to the end: number, lr, temperature, split, values,
    chosen, and `bound`, the mean over seeds, NaN where a seed has none."""
    rows = collection.tuning
    rows = rows[(rows.role == "point") & (rows.share == 1) & rows.label.notna()]
    rows = rows.assign(chosen=rows.chosen.eq(True), lost=rows.bound.isna())
    columns = dict.fromkeys(("lr", "temperature", "split", "values"), "first")
    columns |= {"chosen": "any", "bound": "mean", "lost": "any"}
    found = rows.groupby([*UNIT, "point"]).agg(columns).reset_index()
    return found.assign(bound=found.bound.mask(found.lost))


def best_of(rows: "pd.DataFrame") -> tuple[np.ndarray, np.ndarray]:
    """Learning rates and bounds of the curve through the points of one label, which have columns lr, bound, values."""
    best = rows.groupby("lr").bound.max().dropna()
    rates, bounds = best.index.to_numpy(float), best.to_numpy(float)
    if len(best) < len(rows.dropna(subset=["bound"])) or rows["values"].str.count("=").max() == 1:
        return rates, bounds
    hull: list[int] = []
    for i in range(len(rates)):
        while len(hull) > 1 and _below(hull[-1], (hull[-2], i), np.log(rates), bounds):
            hull.pop()
        hull.append(i)
    return rates[hull], bounds[hull]


def _below(i: int, ends: tuple[int, int], x: np.ndarray, y: np.ndarray) -> bool:
    """Whether point i is not above the line between two others."""
    a, b = ends
    return bool((y[i] - y[a]) * (x[b] - x[a]) <= (y[b] - y[a]) * (x[i] - x[a]))


def _rates(axis: "Axis") -> None:
    """Ticks at 1 and 3 of each decade: a range of learning rates seldom has two powers of ten inside."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axis.set_major_locator(LogLocator(subs=(1, 3)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())


def lowest(frame: "pd.DataFrame") -> float:
    """Where the axis of the bounds ends below: hopeless points must not press the others together."""
    bounds = frame.bound.dropna()
    best, middle = (bounds.max(), bounds.median()) if len(bounds) else (0.0, 0.0)
    return float(max(bounds.min() if len(bounds) else 0.0, middle - ROOM * max(best - middle, 1.0)))


def _end_at(ax: "Axes", frame: "pd.DataFrame", low: float) -> None:
    """Let the axis end at `low`, and say how many points have no bound; the figure says how many lie outside."""
    top = frame.bound.max()
    if np.isnan(top):
        return
    room = 0.05 * max(top - low, 0.1)
    ax.set_ylim(low - room, top + room)
    if lost := int(frame.bound.isna().sum()):
        below(ax, f"{lost} {'point' if lost == 1 else 'points'} without a bound")


def _words(row: Any) -> str:
    """What a point says besides its name."""
    at = re.sub(r"\b(train|estimator)\.", "", row["values"])
    bound = "no bound" if np.isnan(row.bound) else f"{nats(row.bound)} nats"
    return f"{at}: {bound}{', chosen' if row.chosen else ''}"


def _spread(frame: "pd.DataFrame") -> bool:
    """Whether a contour can be drawn: enough points, and not on a line."""
    x, y = np.log10(frame.lr.to_numpy(float)), np.log10(frame.temperature.to_numpy(float))
    if len(frame) < LEAST:
        return False
    return bool(np.linalg.matrix_rank(np.stack([x - x[0], y - y[0]]), tol=1e-6) == 2)


def _of(key: Group, frame: "pd.DataFrame") -> str:
    """The label of the bound."""
    return f"{frame.split.iloc[0]} {'IWAE bound' if key[PANEL.index('objective')] == 'iwae' else 'ELBO'} (nats)"
