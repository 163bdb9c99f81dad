"""The error of an average of M draws, with a slider for M, since the best estimator depends on M."""

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from bench.report.collection.collect import PANEL, Collection, Group
from bench.report.collection.gradients import priced
from bench.report.collection.simultaneous import DRAWS_FREEDOM, critical
from bench.report.collection.statistics import draws_interval
from bench.report.figures.budget import ROUNDING
from bench.report.figures.panels import title
from bench.report.page.answer import CONTROLS
from bench.report.page.numbers import bounded

if TYPE_CHECKING:
    import pandas as pd

MOST = 10  # the slider ends at 2 to the power of this many draws


class Entry(NamedTuple):
    """One estimator: relative squared bias and noise of one draw, with standard errors. A bias that does not differ
    significantly from 0 is set to 0; its standard error stays."""

    label: str
    bias: float
    bias_se: float
    noise: float
    noise_se: float

    def error(self, draws: int) -> tuple[float, float]:
        """The relative mean squared error of the average of `draws` draws, and its standard error."""
        return self.bias + self.noise / draws, float(np.hypot(self.bias_se, self.noise_se / draws))


class Averages(NamedTuple):
    """The estimators of one panel, the lowest error of one draw first. Two of them differ, with 95 % confidence jointly
    for all, if their difference exceeds `apart` standard errors."""

    name: str
    apart: float
    entries: list[Entry]

    def shown(self, entry: Entry, draws: int = 1) -> str:
        """`0.31 [0.29, 0.33]`."""
        value, error = entry.error(draws)
        return bounded(value, max(value - 1.96 * error, 0.0), value + 1.96 * error)

    def ties(self, entry: Entry, draws: int = 1) -> bool:
        """Whether the estimator ties with the lowest one."""
        first = min(self.entries, key=lambda e: e.error(draws)[0])
        (a, s), (b, t) = first.error(draws), entry.error(draws)
        return entry is not first and b - a <= self.apart * float(np.hypot(s, t))


def averages(collection: Collection) -> dict[Group, Averages]:
    """The entries of every panel in which two estimators or more were measured against a reference."""
    rows = priced(collection)
    rows = rows[rows.relative_bias_sq.notna() & rows.relative_variance_noise.notna() & ~rows.estimator.isin(CONTROLS)]
    found = {}
    for key, panel in rows.groupby(PANEL, sort=True):
        entries = sorted((_entry(str(n), of) for n, of in panel.groupby("label")), key=lambda e: e.error(1)[0])
        if len(entries) > 1:
            name = title(key).replace("\n", "; ")
            found[key] = Averages(name, critical(len(entries), DRAWS_FREEDOM), entries)
    return found


def _entry(label: str, rows: "pd.DataFrame") -> Entry:
    bias = draws_interval(rows.relative_bias_sq, rows.relative_bias_sq_se)
    noise = draws_interval(rows.relative_variance_noise, rows.relative_variance_noise_se)
    told = bias.mean > ROUNDING and not bias.low <= 0
    errors = [0.0 if np.isnan(i.high) else (i.high - i.mean) / 1.96 for i in (bias, noise)]
    return Entry(label, bias.mean if told else 0.0, errors[0], noise.mean, errors[1])
