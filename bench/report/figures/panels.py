"""What all figures share: the grid of panels, their titles, and the legend below them."""

import math
import textwrap
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from bench.report.collection.collect import PANEL, Group
from bench.report.collection.simultaneous import ENOUGH
from bench.report.figures.marks import LEGEND, marks
from bench.report.figures.style import Look, Looks
from bench.tables.schema import OWN_TRAINING

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

COLUMNS, NARROWEST = 2, 2.9  # panels side by side; the least width of one where the figure's is given (inches)
MOST_PANELS = 24  # panels of one figure
FEW, WIDE = 8, 7.4  # a legend of more labels than these is given this width (inches)
FAR, ROOM = 12.0, 1.0  # decades from the median beyond which a point is left outside; room around those inside
ROWS, LINE = 3, 0.21  # lines of a legend for which a figure has room, and the height of each further one (inches)
BARS = f"bars: 95 % Student-t intervals over seeds, where there are {ENOUGH} or more"


_given: ContextVar[float | None] = ContextVar("_given", default=None)


@contextmanager
def of_width(inches: float | None) -> Iterator[None]:
    """Figures drawn inside are this wide, as a column of a paper is; None: as wide as their panels need."""
    token = _given.set(inches)
    try:
        yield
    finally:
        _given.reset(token)


class Missing(Exception):
    """There is no data for a figure; the message says which."""


def panels(frame: "pd.DataFrame", needed: str) -> "list[tuple[Group, pd.DataFrame]]":
    """The rows of each panel. Raises Missing where there are none, `needed` says what of, or too many to look at."""
    if frame.empty:
        raise Missing(f"there is no {needed}")
    if (count := frame.groupby(PANEL).ngroups) > MOST_PANELS:
        raise Missing(f"it would have {count} panels, more than {MOST_PANELS}")
    return list(frame.groupby(PANEL, sort=True))


def barred(summary: "pd.DataFrame") -> "pd.DataFrame":
    """The summary without the bounds that are not drawn; the tables have them all."""
    return summary.assign(low=summary.low.where(summary.n >= ENOUGH), high=summary.high.where(summary.n >= ENOUGH))


def grid(n: int, width: float, heights: list[float]) -> "tuple[Figure, list[Axes]]":
    """A figure of `n` axes, `width` inches each unless `of_width` says otherwise; a row is as high as its highest."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    columns = min(n, COLUMNS)
    if given := _given.get():
        columns = max(1, min(columns, int(given / NARROWEST)))
        width = given / columns
    rows = [max(heights[i : i + columns]) for i in range(0, n, columns)]
    figure = Figure(figsize=(width * columns, sum(rows)), layout=ConstrainedLayoutEngine(w_pad=0.1, h_pad=0.06))
    FigureCanvasAgg(figure)
    axes = figure.subplots(len(rows), columns, squeeze=False, height_ratios=rows).ravel()
    for ax in axes[n:]:
        ax.remove()
    return figure, list(axes[:n])


def title(key: Group) -> str:
    """`bernoulli, IWAE bound, mnist`, and a second line `shared checkpoint of rloo, step 500`: what the panel holds."""
    family, objective, setting, trained_with, step = key
    words = [family, *(["IWAE bound"] if objective == "iwae" else []), *([setting] if setting else [])]
    checkpoint = "" if trained_with == OWN_TRAINING else f"\nshared checkpoint of {trained_with}, step {step}"
    return ", ".join(words) + checkpoint


def legend(figure: "Figure", labels: Iterable[str], looks: Looks, note: str = BARS) -> None:
    """A legend below all panels, in as many columns as fit; the figure grows by what a long one needs."""
    labels = sorted(set(labels))
    marks(figure).note = note
    handles = [handle(looks[label]) for label in labels]
    width = _given.get() or max(figure.get_figwidth(), WIDE if len(labels) > FEW else 0)
    columns = max(1, int(width / (0.55 + 0.062 * max(map(len, labels)))))
    rows = math.ceil(len(labels) / columns)
    figure.set_size_inches(width, figure.get_figheight() + LINE * max(0, rows - ROWS))
    figure.legend(
        handles, labels, loc="outside lower center", ncols=min(columns, len(labels)), handlelength=3.2,
        title=textwrap.fill(note, int(20 * width)),
    ).set_gid(LEGEND)  # fmt: skip


def handle(look: Look) -> "Line2D":
    """A line with its marker, for a legend."""
    from matplotlib.lines import Line2D

    edge: Any = {"markeredgecolor": "white", "markeredgewidth": 0.4}
    return Line2D([], [], color=look.colour, marker=look.marker, linestyle=look.linestyle, **edge)


def clean_log_axis(axis: "Axis") -> None:
    """Powers of ten where the axis spans several; else 1, 2, 5, so that no log axis is without ticks. Call it when all
    points are drawn: those that are far from all others would press these together, and are left outside."""
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

    _hold_out(axis)
    low, high = axis.get_view_interval()
    if high / low < 30:
        locator = LogLocator(subs=(1, 2, 5))
        inside = [tick for tick in locator.tick_values(low, high) if low <= tick <= high]
        axis.set_major_locator(locator if 1 < len(inside) < 6 else MaxNLocator(3))  # else nine, which would overlap
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())


def _hold_out(axis: "Axis") -> None:
    """End the axis where the points within `FAR` of the median end; the figure says how many lie outside."""
    import numpy as np

    ax: Any = axis.axes
    kind = "x" if axis is ax.xaxis else "y"
    values = np.array([float(getattr(p, kind)) for p in marks(ax.figure).points if p.ax is ax])
    values = np.sort(np.log10(values[(values > 0) & np.isfinite(values)]))
    near = values[np.abs(values - values[(len(values) - 1) // 2]) <= FAR] if len(values) else values
    if len(near) < len(values):
        low, high = np.log10(axis.get_view_interval())
        ax.set(**{f"{kind}lim": 10.0 ** np.array([max(low, near[0] - ROOM), min(high, near[-1] + ROOM)])})
