"""The figures: what each shows, and from which columns. All intervals are Student-t over seeds."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from bench.report.collection.collect import Collection
from bench.report.collection.once import once
from bench.report.figures import bias, budget, critical, heat, level, parameter, plane, points, temperature, tuning
from bench.report.figures.curves import elbo_vs_seconds, elbo_vs_step, variance_vs_step
from bench.report.figures.panels import Missing
from bench.report.figures.style import RC, Looks, contents
from bench.tables.schema import OWN_TRAINING

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


FIGURES: dict[str, Callable[[Collection, Looks, str], "Figure"]] = {
    "variance_vs_step": variance_vs_step,
    "elbo_vs_step": elbo_vs_step,
    "elbo_vs_seconds": elbo_vs_seconds,
    "variance_vs_evaluations": points.variance_vs_evaluations,
    "variance_vs_seconds": points.variance_vs_seconds,
    "final_elbo": points.final_elbo,
    "time_to_level": level.time_to_level,
    "bias": bias.bias,
    "bias_vs_variance": plane.bias_vs_variance,
    "error_vs_budget": budget.error_vs_budget,
    "ratio_to_baseline": heat.ratio_to_baseline,
    "critical_difference": critical.critical_difference,
    "bias_vs_temperature": temperature.bias_vs_temperature,
    "variance_vs_parameter": parameter.variance_vs_parameter,
    "bound_vs_lr": tuning.bound_vs_lr,
    "bound_over_temperature": tuning.bound_over_temperature,
    "best_vs_budget": tuning.best_vs_budget,
}
AT_CHECKPOINTS = {
    f"shared_{name}": name
    for name in ("variance_vs_evaluations", "variance_vs_seconds", "bias", "bias_vs_variance", "error_vs_budget")
}


def applicable(collection: Collection) -> list[str]:
    """The figures of what the collection holds: own trajectories, shared checkpoints, or both."""
    shared = collection.units.trained_with != OWN_TRAINING
    return [*(FIGURES if not shared.all() else ()), *(AT_CHECKPOINTS if shared.any() else ())]


def draw(name: str, collection: Collection, looks: Looks, part: str) -> "Figure | str":
    """The figure of that name, or a phrase saying which data it lacks.

    Those of AT_CHECKPOINTS show what was measured at shared checkpoints, and all others what was measured along the
    runs' own trajectories: no figure has both."""
    import matplotlib
    import seaborn

    measured = _measured(collection)[name in AT_CHECKPOINTS]
    looks = looks.renamed(_escaped)
    with matplotlib.rc_context({**seaborn.axes_style("ticks"), **RC}):
        try:
            return FIGURES[AT_CHECKPOINTS.get(name, name)](measured, looks, part)
        except Missing as missing:
            return str(missing)


def rendered(name: str, collection: Collection, looks: Looks, part: str) -> dict[str, bytes] | str:
    """The files of a figure by their ending, or a phrase saying why there are none: whatever is wrong with one figure
    ends that figure and no report."""
    try:
        figure = draw(name, collection, looks, part)
        return figure if isinstance(figure, str) else contents(figure)
    except Exception as error:
        first = next(iter(str(error).splitlines()), "")
        return f"it cannot be drawn ({type(error).__name__}: {first})" if first else f"{type(error).__name__} ended it"


@once
def _measured(collection: Collection) -> tuple[Collection, Collection]:
    """What was measured along own trajectories, and at shared checkpoints. All figures are of the same two, so that
    what several of them ask is computed once."""
    return _literal(collection.measured(shared=False)), _literal(collection.measured(shared=True))


def _literal(collection: Collection) -> Collection:
    """With names in which matplotlib sees no formula."""

    def escaped(frame: "pd.DataFrame") -> "pd.DataFrame":
        words = {w: frame[w].map(_escaped, na_action="ignore") for w in ("label", "setting", "trained_with")}
        return frame.assign(**words)

    return collection._replace(units=escaped(collection.units), tuning=escaped(collection.tuning))


def _escaped(text: str) -> str:
    return "".join(c if c.isprintable() else " " for c in text).replace("$", r"\$")  # XML has no control characters
