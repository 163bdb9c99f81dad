"""Mean ranks over problems, and which of them do not differ: where there are six problems or more."""

from typing import TYPE_CHECKING

import numpy as np

from bench.report.collection.collect import Collection
from bench.report.collection.ranks import QUANTITIES, differences
from bench.report.collection.simultaneous import LEVEL
from bench.report.collection.studentised import quantile
from bench.report.figures.marks import point, series
from bench.report.figures.panels import Missing, grid
from bench.report.figures.style import Looks
from bench.report.page.numbers import number

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FEWEST = 6  # problems: with fewer, mean ranks of several estimators differ by less than chance allows


def critical_difference(collection: Collection, looks: Looks, part: str) -> "Figure":
    """Mean rank over problems by noise at equal evaluations, of the estimators measured on all problems. A grey bar
    joins estimators whose mean ranks differ by less than the critical difference (Nemenyi 1963; Demsar 2006)."""
    _, found = differences(collection, QUANTITIES[0])
    if len(found) < FEWEST:
        raise Missing(f"there is no noise of {collection.baseline} on {FEWEST} problems or more")
    names = sorted(set.intersection(*(set(of) for of in found.values())))
    values = np.array([[of[name].mean() for name in names] for of in found.values()])  # [problems, estimators]
    mean, width = mean_ranks(values)
    order = np.argsort(mean, kind="stable")
    figure, [ax] = grid(1, 5.2, [1.3 + 0.24 * len(names)])
    for y, i in enumerate(order):
        look = looks[names[i]]
        with series(ax, names[i]):
            ax.plot(
                mean[i], y, marker=look.marker, linestyle="none", color=look.colour, markeredgecolor="white", zorder=3
            )
        point(ax, names[i], mean[i], y, f"mean rank {number(mean[i])} of {len(names)} on {len(found)} problems")
    for first, last in groups(mean[order], width):
        ax.plot([mean[order[first]]] * 2, [first - 0.2, last + 0.2], color="#BBBBBB", linewidth=2.5, zorder=1)
    ax.set_yticks(range(len(names)), [names[i] for i in order])
    ax.set(xlim=(0.7, len(names) + 0.3), ylim=(len(names) - 0.5, -0.8), xlabel="mean rank, 1 is the least noise")
    ax.set_title(f"{len(found)} problems; critical difference {number(width)}")
    return figure


def mean_ranks(values: np.ndarray) -> tuple[np.ndarray, float]:
    """Of values `[problems, estimators]`, the lowest first: mean ranks, and their critical difference."""
    from scipy.stats import rankdata

    n, k = values.shape
    width = quantile(LEVEL, k, np.inf) / np.sqrt(2) * np.sqrt(k * (k + 1) / (6 * n)) if k > 1 else 0.0
    return rankdata(values, axis=1).mean(0), float(width)


def groups(mean: np.ndarray, width: float) -> list[tuple[int, int]]:
    """The longest stretches of sorted mean ranks within the width: first and last place of each, two or more wide."""
    found: list[tuple[int, int]] = []
    for first in range(len(mean)):
        last = int(np.searchsorted(mean, mean[first] + width, side="right")) - 1
        if last > first and (not found or last > found[-1][1]):
            found.append((first, last))
    return found
