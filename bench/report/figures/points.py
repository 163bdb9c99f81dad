"""Figures of points: price against noise, and what the training reached."""

import math
import textwrap
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from bench.report.collection.bounds import with_bound
from bench.report.collection.collect import PANEL, UNIT, Collection, Group
from bench.report.collection.compare import comparison
from bench.report.collection.gradients import last
from bench.report.collection.statistics import Interval, draws_interval, summarise
from bench.report.figures.fit import arrange, fit
from bench.report.figures.ground import bars_of, roomy, staircase
from bench.report.figures.marks import below, point, series
from bench.report.figures.panels import BARS, LINE, barred, grid, panels, title
from bench.report.figures.place import label_points
from bench.report.figures.style import Looks
from bench.report.page.numbers import bounded, nats
from bench.tables.schema import OWN_TRAINING

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

ROW = 0.21  # inches for each name of a list
WIDE, NAME = 4.6, 0.16  # width of a panel whose points have names, and height for each of them (inches)
PRICES = {"evaluations": "evaluations", "seconds_gradient": "seconds"}


def bound_name(key: Group, split: str) -> str:
    """The label of an axis that shows the bound."""
    return f"{split} {'IWAE bound' if key[1] == 'iwae' else 'ELBO'} (nats)".strip()


def variance_vs_evaluations(collection: Collection, looks: Looks, part: str) -> "Figure":
    """Noise against evaluations of the cost. Noise times evaluations is equal along a dotted line. The staircase is the
    lowest noise at a price or below of estimators that claim to be unbiased; its band follows the ends of the bars."""
    return _price(collection, looks, part, "evaluations", "cost evaluations per example and gradient")


def variance_vs_seconds(collection: Collection, looks: Looks, part: str) -> "Figure":
    """Noise against the time of a gradient, both with their errors. Noise times time is equal along a dotted line. The
    staircase is the lowest noise at a price or below of estimators that claim to be unbiased; its band follows the ends
    of the bars."""
    return _price(collection, looks, part, "seconds_gradient", "time per gradient (s)")


def _price(collection: Collection, looks: Looks, part: str, price: str, label: str) -> "Figure":
    import numpy as np

    rows = collection.joined("gradient")
    noise, bars = _noise(last(rows[rows.part == part], "part"))
    prices = comparison(collection).reindex(columns=[*UNIT, "unbiased", price, f"{price}_low", f"{price}_high"])
    frame = noise.merge(prices, on=UNIT)
    keyed = panels(frame[(frame[price] > 0) & frame["mean"].notna()], f"{price} next to a variance of the part {part}")
    figure, axes = grid(len(keyed), WIDE, [max(3.9, 1.2 + NAME * len(rows)) for _, rows in keyed])
    shown = []
    for ax, (key, rows) in zip(axes, keyed, strict=True):
        silent, rows = rows[rows["mean"] <= 0], rows[rows["mean"] > 0]
        shown.append(rows)
        for _, r in rows.iterrows():
            look = looks[r.label]
            error = [[r["mean"] - r.low], [r.high - r["mean"]]]
            ends = [[r[price] - r[f"{price}_low"]], [r[f"{price}_high"] - r[price]]]
            across = None if np.isnan(ends).any() else ends
            with series(ax, r.label):
                ax.errorbar(r[price], r["mean"], error, across, color=look.colour, elinewidth=0.8, alpha=0.6, capsize=0)
                ax.plot(
                    r[price],
                    r["mean"],
                    marker=look.marker,
                    linestyle="none",
                    color=look.colour,
                    markeredgecolor="white",
                    zorder=3,
                )
            words = f"noise {bounded(r['mean'], r.low, r.high)}; {PRICES[price]} "
            point(ax, r.label, r[price], r["mean"], words + bounded(r[price], r[f"{price}_low"], r[f"{price}_high"]))
        ax.set(xscale="log", yscale="log", xlabel=label, ylabel=f"noise variance, {part} (nats²)")
        ax.set_title(title(key))
        staircase(ax, rows[rows.unbiased.eq(True)], price)
        roomy(ax, rows, price)
        below(ax, f"lower left is better; bars: 95 % {bars}; italics: claims to be biased")
        if len(silent):
            below(ax, textwrap.fill(f"zero variance: {', '.join(silent.label)}", int(13 * WIDE)))
    fit(figure)
    arrange(figure)
    figure.set_layout_engine(None)
    for ax, rows in zip(axes, shown, strict=True):
        rows = rows[rows[price].between(*ax.get_xlim()) & rows["mean"].between(*ax.get_ylim())]
        if len(rows):
            names = list(rows.label)
            colours = [looks[n].colour for n in names]
            slanted = set(rows.label[rows.unbiased.eq(False)])
            label_points(ax, list(rows[price]), list(rows["mean"]), names, colours, bars_of(ax, rows, price), slanted)
    return figure


def _noise(rows: "pd.DataFrame") -> "tuple[pd.DataFrame, str]":
    """Intervals of `variance_noise` for each unit, and their sample in words: seeds, or the draws at checkpoints."""
    import pandas as pd

    if (rows.trained_with == OWN_TRAINING).all():
        return barred(summarise(rows, UNIT, "variance_noise", log=True)), "over seeds"
    groups = rows.dropna(subset=["variance_noise"]).groupby(UNIT)
    found = [(*key, *draws_interval(of.variance_noise, of.variance_noise_se)) for key, of in groups]
    frame = pd.DataFrame(found, columns=[*UNIT, *Interval._fields])
    return frame.assign(low=frame.low.where(frame.low > 0)), "by the draws"


def final_elbo(collection: Collection, looks: Looks, part: str) -> "Figure":
    """The bound at the last step: filled marks on the test split, open ones on the training split; the best on top."""
    rows = with_bound(collection.joined("objective"))
    rows = last(rows[rows.split.isin(["train", "test"])], "split")
    summary = barred(summarise(rows, [*UNIT, "split"], "bound"))
    keyed = panels(summary, "objective at the last step")
    figure, axes = grid(len(keyed), 3.9, [1.3 + ROW * frame.label.nunique() for _, frame in keyed])
    units = collection.units
    for ax, (key, frame) in zip(axes, keyed, strict=True):
        of_panel = units[(units[PANEL] == list(key)).all(axis=1)]
        lost = of_panel[of_panel.status.isin(["diverged", "failed"])].groupby(["label", "status"]).size()
        wide = frame.pivot(index="label", columns="split", values="mean").reindex(columns=["test", "train"])
        wide = wide.reindex(wide.index.union(lost.index.get_level_values("label").unique()))  # none may vanish silently
        order = wide.test.fillna(wide.train).sort_values(kind="stable", na_position="first")
        names = list(order.index)
        for split, shift in (("test", 0.0), ("train", 0.28)):
            for _, r in frame[frame.split == split].iterrows():
                look, y = looks[r.label], names.index(r.label) + shift
                face: Any = {"markerfacecolor": look.colour if split == "test" else "white"}
                with series(ax, r.label):
                    ax.plot([r.low, r.high], [y, y], color=look.colour, linewidth=0.9, alpha=0.7)
                    ax.plot(
                        r["mean"],
                        y,
                        marker=look.marker,
                        linestyle="none",
                        color=look.colour,
                        markersize=5,
                        markeredgewidth=0.9,
                        **face,
                    )
                point(ax, r.label, r["mean"], y, f"{split} {nats(r['mean'], r.low, r.high)} nats")
        notes = {n: ", ".join(f"{lost[n, s]} {s}" for s in ("diverged", "failed") if (n, s) in lost) for n in names}
        ax.set_yticks(range(len(names)), [f"{n} ({notes[n]})" if notes[n] else n for n in names])
        low, high = frame["mean"].min(), frame["mean"].max()  # every point; a bar may be wider than all of them
        room = 0.5 * max(high - low, 1.0)
        ax.set(xlim=(low - room, high + room), ylim=(-0.6, len(names) - 0.3))
        ax.set(xlabel=bound_name(key, ""), title=title(key))
    marker_legend(figure, {"test": {"markerfacecolor": "#555555"}, "train": {"markerfacecolor": "white"}})
    return figure


def marker_legend(figure: "Figure", entries: Mapping[str, dict[str, Any]], bars: str = BARS) -> None:
    """A legend below the panels: grey points of these styles, and what the bars are."""
    from matplotlib.lines import Line2D

    plain: dict[str, Any] = {"color": "#555555", "marker": "o", "linestyle": "none", "markersize": 5}
    handles = [Line2D([], [], **(plain | {"markeredgewidth": 0.9} | style)) for style in entries.values()]
    width, sizes = figure.get_figwidth(), [0.3 + 0.058 * len(entry) for entry in entries]
    columns = len(entries) if sum(sizes) <= width else max(1, int(width / max(sizes)))
    figure.set_size_inches(width, figure.get_figheight() + LINE * (math.ceil(len(entries) / columns) - 1))
    bars = textwrap.fill(bars, int(20 * width))
    figure.legend(handles, list(entries), loc="outside lower center", ncols=columns, title=bars)
