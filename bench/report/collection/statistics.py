"""Means and confidence intervals over seeds: Student's t, which holds at five seeds where bootstraps do not."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    import pandas as pd


WIDEST = 1e6  # an interval of logs that spans more than this factor has too few values to say anything


class Interval(NamedTuple):
    """A mean over `n` seeds and its interval; the bounds are NaN where there is no spread to judge by."""

    mean: float
    low: float
    high: float
    n: int


def t_interval(values: Iterable[float], level: float = 0.95) -> Interval:
    """Mean and Student-t interval of independent values; NaN values are left out. One value has no bounds."""
    from scipy.special import stdtrit  # scipy.stats takes a second to import

    x = np.asarray(list(values), dtype=float)
    x = x[~np.isnan(x)]
    if len(x) == 0:
        return Interval(np.nan, np.nan, np.nan, 0)
    if len(x) == 1:
        return Interval(float(x[0]), np.nan, np.nan, 1)
    half = stdtrit(len(x) - 1, (1 + level) / 2) * x.std(ddof=1) / np.sqrt(len(x))
    return Interval(float(x.mean()), float(x.mean() - half), float(x.mean() + half), len(x))


def log_t_interval(values: Iterable[float], level: float = 0.95) -> Interval:
    """Geometric mean and Student-t interval on the log scale. Where a value is not positive there is no log: then the
    arithmetic mean, without bounds. No bounds either where they would be more than a factor `WIDEST` apart."""
    x = np.asarray(list(values), dtype=float)
    x = x[~np.isnan(x)]
    if (x <= 0).any():
        return Interval(float(x.mean()), np.nan, np.nan, len(x))
    mean, low, high, n = t_interval(np.log(x), level)
    if not high - low < np.log(WIDEST):
        low = high = np.nan
    return Interval(float(np.exp(mean)), float(np.exp(low)), float(np.exp(high)), n)


def draws_interval(values: "pd.Series", errors: "pd.Series") -> Interval:
    """Mean over runs, and 95 % by the standard errors that the draws of each run give."""
    mean, half = float(values.mean()), 1.96 * float((errors**2).sum(skipna=False) ** 0.5) / len(values)
    return Interval(mean, mean - half, mean + half, len(values))


def summarise(frame: "pd.DataFrame", by: Sequence[str], value: str, *, log: bool = False) -> "pd.DataFrame":
    """One row for each group of `by`, with columns mean, low, high and n; groups without a value are left out."""
    import pandas as pd

    interval = log_t_interval if log else t_interval
    groups = frame.dropna(subset=[value]).groupby(list(by), sort=True)[value]
    rows = [(*key, *interval(group)) for key, group in groups]
    return pd.DataFrame(rows, columns=[*by, *Interval._fields])
