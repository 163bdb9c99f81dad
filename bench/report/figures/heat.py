"""Every estimator on every problem, against one of them."""

from typing import TYPE_CHECKING, Any

import numpy as np

from bench.report.collection.collect import PANEL, Collection, Group
from bench.report.collection.ranks import QUANTITIES, differences
from bench.report.figures.fit import LETTER
from bench.report.figures.marks import point, series
from bench.report.figures.panels import Missing, grid, title
from bench.report.figures.style import Looks
from bench.report.page.numbers import number

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ROW = 0.24  # inches
LIMIT = np.log(30.0)  # the ratio at which the colours end


def ratio_to_baseline(collection: Collection, looks: Looks, part: str) -> "Figure":
    """Noise of the encoder's gradient at equal evaluations, divided by that of the baseline; geometric mean over seeds.
    Blue: less noise; red: more noise; hatched: impossible, or its runs failed; empty: not measured."""
    baseline, ratios = differences(collection, QUANTITIES[0])
    problems = sorted(ratios)
    if len(problems) < 2:
        raise Missing(f"there is no noise of {collection.baseline} on two problems or more")
    mean = {p: {label: float(np.nanmean(v)) for label, v in of.items()} for p, of in ratios.items()}
    names = sorted(
        {label for of in mean.values() for label in of},
        key=lambda n: np.mean([of[n] for of in mean.values() if n in of]),
    )
    reasons = _reasons(collection)
    others = sorted({label for p, label in reasons if p in ratios} - set(names))
    names += others
    figure, [ax] = grid(1, 2.4 + 1.15 * len(problems), [1.2 + ROW * len(names)])
    words = [title(p).replace(", ", ",\n") for p in problems]
    room = (figure.get_figwidth() - LETTER * max(map(len, names)) - 0.3) / len(problems)
    narrow = LETTER * max(len(line) for text in words for line in text.split("\n")) > room
    for y, name in enumerate(names):
        for x, problem in enumerate(problems):
            log, reason = mean[problem].get(name, np.nan), reasons.get((problem, name))
            about = title(problem).replace("\n", "; ")
            with series(ax, name):
                _cell(ax, x, y, log, reason, narrow)
            if np.isfinite(log):
                point(ax, name, x, y, f"{number(float(np.exp(log)))} times the noise of {baseline}; {about}")
            elif reason is not None:
                point(ax, name, x, y, f"{reason} {about}")
    ax.set(xlim=(-0.5, len(problems) - 0.5), ylim=(len(names) - 0.5, -0.5))
    ax.set_yticks(range(len(names)), names)
    ax.set_xticks(range(len(problems)), words, rotation=90 if narrow else 0)
    ax.grid(visible=False)
    ax.set_title(f"noise at equal evaluations over that of {baseline}")
    return figure


def _cell(ax: Any, x: int, y: int, log: float, reason: str | None, narrow: bool) -> None:
    from matplotlib import colormaps
    from matplotlib.patches import Rectangle

    place, width, height = (x - 0.48, y - 0.46), 0.96, 0.92
    if np.isfinite(log):
        shade = colormaps["RdBu_r"](0.5 + 0.42 * float(np.clip(log / LIMIT, -1, 1)))
        ax.add_patch(Rectangle(place, width, height, facecolor=shade, edgecolor="none"))
        ink = "#fefefe" if abs(log) > 0.62 * LIMIT else "#111111"
        words = "<0.01" if narrow and log < np.log(0.01) else number(float(np.exp(log)))
        ax.text(x, y, words, ha="center", va="center", fontsize=6 if narrow else 7, color=ink)
    elif reason is not None:
        grey: Any = {"facecolor": "#BDBDBD", "edgecolor": "#8A8A8A", "hatch": "///", "linewidth": 0}
        ax.add_patch(Rectangle(place, width, height, **grey))


def _reasons(collection: Collection) -> dict[tuple[Group, str], str]:
    """Why a label has no number on a problem."""
    units: Any = collection.units[collection.units.status != "done"]
    return {
        (tuple(getattr(u, k) for k in PANEL), str(u.label)): f"{u.status}: {u.reason or 'no reason given'}"
        for u in units.itertuples()
    }
