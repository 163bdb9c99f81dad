"""The error of the mean of M draws of a gradient, against the reference."""

from typing import TYPE_CHECKING

import numpy as np

from bench.report.collection.collect import Collection
from bench.report.collection.gradients import last, relative
from bench.report.collection.statistics import draws_interval
from bench.report.figures.marks import point, series
from bench.report.figures.panels import Missing, clean_log_axis, grid, legend, panels, title
from bench.report.figures.style import Look, Looks
from bench.report.page.numbers import number

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DRAWS = 2 ** np.arange(11)  # M = 1 .. 1024
ROUNDING = 1e-8  # a relative squared bias of float32's rounding is none
NOTE = "last step, mean over seeds; dotted: where a bias too small to be significant may limit the error"


def error_vs_budget(collection: Collection, looks: Looks, part: str) -> "Figure":
    """Relative error and cosine of the average of M draws, computed from the measured bias and noise of one draw.

    E |average - reference|^2 = bias_sq + variance_noise / M, so without bias the error falls as 1 / sqrt(M), and with
    one it ends at the bias. A bias_sq whose 95 % interval, by the draws' own error, reaches 0 counts as 0; its curve is
    dotted from where the noise falls below the upper end of that interval.
    """
    rows = collection.joined("gradient")
    rows = last(rows[rows.part == part], "part")
    rows = rows[relative(rows).relative_bias_sq.notna()]
    keyed = panels(rows, f"bias_sq of the part {part}: no run was measured against a reference")
    drawn = [(key, {str(name): budget(of) for name, of in frame.groupby("label")}) for key, frame in keyed]
    drawn = [(key, curves) for key, curves in drawn if any((error > 0).any() for _, error, _ in curves.values())]
    if not drawn:
        raise Missing(f"there is no error of the part {part}: noise and bias are 0")
    figure, axes = grid(2 * len(drawn), 3.7, [2.7] * 2 * len(drawn))
    for i, (key, curves) in enumerate(drawn):
        left, right = axes[2 * i : 2 * i + 2]
        for name, (known, error, cosine) in curves.items():
            for ax, curve in ((left, np.where(error > 0, error, np.nan)), (right, cosine)):
                with series(ax, name):
                    _line(ax, curve, known, looks[name])
                for draws, y in zip(DRAWS[::2], curve[::2], strict=True):
                    if np.isfinite(y):
                        point(ax, name, draws, y, f"{draws} draws: {number(y)}")
        for ax in (left, right):
            ax.set(xscale="log", xlabel="draws averaged", title=title(key))
            ax.set_xticks(DRAWS[::2], [str(m) for m in DRAWS[::2]])
            ax.minorticks_off()
        left.set(yscale="log", ylabel=f"relative error, {part}")
        clean_log_axis(left.yaxis)
        right.set(ylabel=f"cosine, {part}")
    legend(figure, rows.label, looks, NOTE)
    return figure


def budget(rows: "pd.DataFrame") -> tuple[int, np.ndarray, np.ndarray]:
    """How many of `DRAWS`, from the first, do not depend on a bias too small to be told from none; then the relative
    error and the cosine at each of them.

    The cosine is a ratio of means over draws: the mean of the cosine itself differs by order 1 / number of coordinates.
    """
    size = rows.reference_norm_sq
    bias = draws_interval(rows.bias_sq / size, rows.bias_sq_se / size)
    noise = float((rows.variance_noise / size).mean()) / DRAWS  # [M]
    biased = bias.mean > ROUNDING and not bias.low <= 0  # NaN: a single draw, which has no error
    floor = bias.mean if biased else 0.0
    norm = float((rows.norm_sq / size).mean()) if biased else 1.0
    with np.errstate(invalid="ignore"):
        cosine = (norm + 1 - floor) / 2 / np.sqrt(norm + noise)
    known = biased | ~((noise < bias.high) & (bias.high > ROUNDING))
    return int(known.sum()), np.sqrt(floor + noise), cosine


def _line(ax: "Axes", curve: np.ndarray, known: int, look: Look) -> None:
    ax.plot(DRAWS[:known], curve[:known], color=look.colour, linewidth=1.2)
    unsure = slice(max(known - 1, 0), None)
    ax.plot(DRAWS[unsure], curve[unsure], color=look.colour, linewidth=1.0, linestyle=":")
    ax.plot(
        DRAWS[::2],
        curve[::2],
        marker=look.marker,
        linestyle="none",
        color=look.colour,
        markersize=4,
        markeredgecolor="white",
    )
