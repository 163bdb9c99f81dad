"""The figures: what each shows, and from which columns. All intervals are Student-t over seeds."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from bench.report import budget, parameter, points, temperature
from bench.report.collect import UNIT, Collection
from bench.report.panels import Missing, barred, clean_log_axis, grid, legend, panels, title
from bench.report.statistics import summarise
from bench.report.style import RC, Look
from bench.schema import OWN

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


def variance_vs_step(collection: Collection, looks: dict[str, Look], part: str) -> "Figure":
    """Gradient noise along the training, log scale."""
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


def elbo_vs_step(collection: Collection, looks: dict[str, Look], part: str) -> "Figure":
    """The test bound (where there is none, the training bound) along the training, by steps."""
    return _bound_curves(collection, looks, "step", "training steps")


def elbo_vs_seconds(collection: Collection, looks: dict[str, Look], part: str) -> "Figure":
    """The same by training time."""
    return _bound_curves(collection, looks, "seconds", "training time (s)")


FIGURES: dict[str, Callable[[Collection, dict[str, Look], str], "Figure"]] = {
    "variance_vs_step": variance_vs_step,
    "elbo_vs_step": elbo_vs_step,
    "elbo_vs_seconds": elbo_vs_seconds,
    "variance_vs_evaluations": points.variance_vs_evaluations,
    "variance_vs_seconds": points.variance_vs_seconds,
    "final_elbo": points.final_elbo,
    "bias": points.bias,
    "error_vs_budget": budget.error_vs_budget,
    "bias_vs_temperature": temperature.bias_vs_temperature,
    "variance_vs_parameter": parameter.variance_vs_parameter,
}
SHARED = {
    f"shared_{name}": name for name in ("variance_vs_evaluations", "variance_vs_seconds", "bias", "error_vs_budget")
}


def applicable(collection: Collection) -> list[str]:
    """The figures of what the collection holds: own trajectories, shared checkpoints, or both."""
    shared = collection.units.trained_with != OWN
    return [*(FIGURES if not shared.all() else ()), *(SHARED if shared.any() else ())]


def draw(name: str, collection: Collection, looks: dict[str, Look], part: str) -> "Figure | str":
    """The figure of that name, or a phrase saying which data it lacks. Those of SHARED show what was measured at shared
    checkpoints, and all others what was measured along the runs' own trajectories: no figure has both."""
    import matplotlib
    import seaborn

    measured = collection.measured(shared=name in SHARED)
    with matplotlib.rc_context({**seaborn.axes_style("ticks"), **RC}):
        try:
            return FIGURES[SHARED.get(name, name)](measured, looks, part)
        except Missing as missing:
            return str(missing)


def _bound_curves(collection: Collection, looks: dict[str, Look], x: str, label: str) -> "Figure":
    rows = points.with_bound(collection.joined("objective"))
    split = "test" if (rows.split == "test").any() else "train"  # a problem without a VAE has nothing held out
    rows = rows[rows.split == split]
    summary = barred(summarise(rows, [*UNIT, "step"], "bound"))
    at = rows.groupby([*UNIT, "step"])[x if x != "step" else "seed"].mean()
    summary["x"] = (
        summary.step
        if x == "step"
        else [at[key] for key in summary[[*UNIT, "step"]].itertuples(index=False, name=None)]
    )
    if x == "seconds":  # estimators differ by factors in time: a log axis, which has no zero
        summary = summary[summary.x > 0]
    keyed = panels(summary, "objective")
    figure, axes = _curves(keyed, looks)
    for ax, (key, frame) in zip(axes, keyed, strict=True):
        ax.set(xscale="log" if x == "seconds" else "linear", xlabel=label, ylabel=points.bound_name(key, split))
        final = frame[frame.step == frame.groupby("label").step.transform("max")]["mean"]
        spread = max(2 * (final.max() - final.min()), 2.0)
        ax.set_ylim(final.min() - spread, final.max() + 0.1 * spread)  # the start would flatten the end
        if x == "seconds":
            ax.set_xlim(left=frame.x[frame["mean"] >= final.min() - spread].min() / 1.3)
            clean_log_axis(ax.xaxis)
    return figure


def _curves(keyed: "list[tuple[tuple, pd.DataFrame]]", looks: dict[str, Look]) -> "tuple[Figure, list]":
    import seaborn

    figure, axes = grid(len(keyed), 3.7, [2.7] * len(keyed))
    for ax, (key, frame) in zip(axes, keyed, strict=True):
        names = sorted(frame.label.unique())
        seaborn.lineplot(
            data=frame,
            x="x",
            y="mean",
            hue="label",
            style="label",
            hue_order=names,
            style_order=names,
            palette={name: looks[name].colour for name in names},
            markers={name: looks[name].marker for name in names},
            dashes={name: looks[name].dashes for name in names},
            errorbar=None,
            legend=False,
            ax=ax,
        )
        for name, curve in frame.dropna(subset=["low"]).groupby("label"):
            ax.vlines(curve.x, curve.low, curve.high, color=looks[str(name)].colour, alpha=0.45, linewidth=0.9)
        ax.set_title(title(key))
    legend(figure, [name for _, frame in keyed for name in frame.label], looks)
    return figure, axes
