"""Curves along the training: gradient noise and bounds, by steps and by seconds."""

from typing import TYPE_CHECKING, Any

from bench.report.collection.bounds import with_bound
from bench.report.collection.collect import PANEL, UNIT, Collection, Group
from bench.report.collection.statistics import summarise
from bench.report.figures import points
from bench.report.figures.marks import point, series
from bench.report.figures.panels import BARS, barred, clean_log_axis, grid, legend, panels, title
from bench.report.figures.style import Looks
from bench.report.page.numbers import bounded, number

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LEAVES = "$\\downarrow$"  # no look has it as its marker


def variance_vs_step(collection: Collection, looks: Looks, part: str) -> "Figure":
    """The noise of the gradient along the training, on a log scale."""
    rows = collection.joined("gradient")
    summary = summarise(rows[rows.part == part], [*UNIT, "step"], "variance_noise", log=True)
    summary = barred(summary[summary["mean"] > 0]).assign(x=lambda s: s.step)
    keyed = panels(summary, f"variance of the part {part}")
    figure, axes = _curves(keyed, looks)
    for ax, (_, frame) in zip(axes, keyed, strict=True):
        ax.set(yscale="log", xlabel="training steps", ylabel=f"noise variance, {part} (nats²)")
        ax.set_ylim(frame["mean"].min() / 2, frame["mean"].max() * 3)  # bars may reach many decades further
        clean_log_axis(ax.yaxis)
    return figure


def elbo_vs_step(collection: Collection, looks: Looks, part: str) -> "Figure":
    """The bound on the test split (the training split, if there is no test split) against training steps."""
    return _bound_curves(collection, looks, "step", "training steps")


def elbo_vs_seconds(collection: Collection, looks: Looks, part: str) -> "Figure":
    """The bound on the test split (the training split, if there is no test split) against training time. Runs with
    invalid times are left out."""
    return _bound_curves(collection, looks, "seconds", "training time (s)")


def _bound_curves(collection: Collection, looks: Looks, x: str, label: str) -> "Figure":
    rows = with_bound(collection.joined("objective"))
    split = "test" if (rows.split == "test").any() else "train"  # a problem without a VAE has nothing held out
    rows = rows[rows.split == split]
    if x == "seconds":
        cost = collection.joined("cost")
        rows = rows[~rows.run.isin(cost.run[cost.valid.eq(False)])]
    summary = barred(summarise(rows, [*UNIT, "step"], "bound"))
    at = rows.groupby([*UNIT, "step"])[x if x != "step" else "seed"].mean()
    summary["x"] = (
        summary.step
        if x == "step"
        else [at[key] for key in summary[[*UNIT, "step"]].itertuples(index=False, name=None)]
    )
    ends = {key: limits(frame) for key, frame in summary.groupby(PANEL)}
    if x == "seconds":  # estimators differ by factors in time: a log axis, which has no zero
        summary = summary[summary.x > 0]
    keyed = panels(summary, "bound of a run with valid times" if x == "seconds" else "bound")
    figure, axes = _curves(keyed, looks, note=f"{BARS}; \N{DOWNWARDS ARROW} a curve leaves the axes")
    for ax, (key, frame) in zip(axes, keyed, strict=True):
        ax.set(xscale="log" if x == "seconds" else "linear", xlabel=label, ylabel=points.bound_name(key, split))
        low = ends[key][0]
        ax.set_ylim(ends[key])
        _mark_leaving(ax, frame, low, looks)
        if x == "seconds":
            ax.set_xlim(left=frame.x[frame["mean"] >= low].min() / 1.3)
            clean_log_axis(ax.xaxis)
    return figure


def limits(frame: "pd.DataFrame") -> tuple[float, float]:
    """The ends of an axis of bounds: every curve that ends no lower than it began ends within, and neither the start
    nor a curve that diverges flattens the others.

    `frame` has columns label, step and mean. A quarter of the whole gain below the start still counts as the start.
    """
    first, final = (frame[frame.step == frame.groupby("label").step.transform(end)]["mean"] for end in ("min", "max"))
    top = frame["mean"].max()
    ended = final[(final >= first.median() - 0.25 * (top - first.median())) | (frame.step.nunique() == 1)]
    low = (ended if len(ended) else final).min()
    spread = max(top - low, 2.0)
    bottom = max(frame["mean"].min(), low - 0.5 * spread)
    return bottom - 0.06 * (top - bottom) - 0.1, top + 0.06 * (top - bottom) + 0.1


def _mark_leaving(ax: "Axes", frame: "pd.DataFrame", low: float, looks: Looks) -> None:
    """An arrow on the lower edge where a curve that ends below goes through it, or where it ends."""
    scale = ax.xaxis.get_transform()
    for name, curve in frame.sort_values("x").groupby("label"):
        x, y = scale.transform(curve.x.to_numpy(float)), curve["mean"].to_numpy(float)
        if y[-1] >= low:
            continue
        at = x[-1]
        if (inside := (y >= low).nonzero()[0]).size:
            i = inside[-1]
            at = x[i] + (x[i + 1] - x[i]) * (y[i] - low) / (y[i] - y[i + 1])
        with series(ax, str(name)):
            mark: Any = {"marker": LEAVES, "markersize": 8, "clip_on": False, "zorder": 5}
            ax.plot(scale.inverted().transform(at), low, color=looks[str(name)].colour, **mark)


def _curves(keyed: "list[tuple[Group, pd.DataFrame]]", looks: Looks, note: str = BARS) -> "tuple[Figure, list[Axes]]":
    figure, axes = grid(len(keyed), 3.7, [2.7] * len(keyed))
    for ax, (key, frame) in zip(axes, keyed, strict=True):
        for name, curve in frame.sort_values("x").groupby("label"):
            look, barred_ones = looks[str(name)], curve.dropna(subset=["low"])
            with series(ax, str(name)):
                ax.plot(
                    curve.x, curve["mean"], color=look.colour, marker=look.marker, linestyle=look.linestyle,
                    markeredgecolor="white",
                )  # fmt: skip
                ax.vlines(
                    barred_ones.x, barred_ones.low, barred_ones.high, color=look.colour, alpha=0.45, linewidth=0.9
                )
            for _, r in curve.iterrows():
                words = bounded(r["mean"], r.low, r.high)
                point(ax, str(name), r.x, r["mean"], f"{'step ' if r.x == r.step else ''}{number(r.x)}: {words}")
        ax.set_title(title(key))
    legend(figure, [name for _, frame in keyed for name in frame.label], looks, note)
    return figure, axes
