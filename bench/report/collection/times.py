"""What a gradient costs: evaluations, and seconds with their error."""

from typing import TYPE_CHECKING

import numpy as np

from bench.report.collection.collect import PANEL, UNIT, Collection
from bench.report.collection.once import once
from bench.report.collection.statistics import Interval, t_interval

if TYPE_CHECKING:
    import pandas as pd

# The same work, timed in another process: medians of one configuration differed by 9 to 17 % between seeds in sweeps on
# MNIST and on toys on two cores, however little they differ within a process.
TIME_FLOOR = 0.1  # standard error of a time, relative, that neither repetitions nor seeds make smaller
QUARTILES = 1.3490  # standard deviations between the quartiles of a normal distribution
MEDIAN = 1.2533  # standard errors of a mean in that of a median of normal values


@once
def timings(collection: Collection) -> "pd.DataFrame":
    """The rows of `cost` of one engine, with `seconds_error`, the relative standard error of the seconds; the seconds
    of invalid timings are left out."""
    cost = collection.joined("cost")
    cost["engine"] = cost.engine.fillna("eager")
    engines = cost.groupby(UNIT).engine.transform(lambda e: "eager" if (e == "eager").any() else e.min())
    cost = cost[cost.engine == engines].copy()
    cost.loc[~cost.valid.fillna(True).astype(bool), "seconds"] = float("nan")
    return cost.assign(seconds_error=np.fmax(repetition_error(cost), run_error(cost)))


def repetition_error(cost: "pd.DataFrame") -> "pd.Series":
    """The relative error of one timing over its repetitions: `seconds_se` where the table has it, else by quartiles."""
    quartiles = MEDIAN * (cost.seconds_q3 - cost.seconds_q1) / QUARTILES / np.sqrt(cost.repetitions)
    error = cost.seconds_se.fillna(quartiles) if "seconds_se" in cost else quartiles
    return (error / cost.seconds).fillna(0.0)


def run_error(cost: "pd.DataFrame") -> "pd.Series":
    """The spread of a configuration's times over its runs, pooled over the panel; NaN where none has two."""
    logs = np.log(cost.seconds.where(cost.seconds > 0))
    squares = (logs - logs.groupby([cost[key] for key in [*UNIT, "what"]]).transform("mean")) ** 2
    panel = [cost[key] for key in [*PANEL, "what"]]
    configurations = cost.label.where(logs.notna()).groupby(panel).transform("nunique")
    freedom = logs.groupby(panel).transform("count") - configurations
    return np.sqrt(squares.groupby(panel).transform("sum") / freedom.where(freedom > 0))


def time_interval(rows: "pd.DataFrame") -> Interval:
    """Median over runs, and its 95 % interval: Student's t on the logs over runs, the repetitions' error where there
    is one run, and in both `TIME_FLOOR`."""
    seconds = rows.seconds.dropna()
    if seconds.empty:
        return Interval(np.nan, np.nan, np.nan, 0)
    middle, logs = float(seconds.median()), t_interval(np.log(seconds))
    own = 1.96 * float(rows.seconds_error.mean()) if logs.n == 1 else (logs.high - logs.low) / 2
    half = float(np.hypot(own, 1.96 * TIME_FLOOR))
    return Interval(middle, middle * np.exp(-half), middle * np.exp(half), logs.n)


def product(noise: Interval, price: Interval) -> Interval:
    """The product of two intervals on the log scale: half widths add as squares."""
    mean = noise.mean * price.mean
    if not (noise.high > 0 and price.high > 0):
        return Interval(mean, np.nan, np.nan, min(noise.n, price.n))
    half = np.hypot(np.log(noise.high / noise.mean), np.log(price.high / price.mean))
    return Interval(mean, mean * np.exp(-half), mean * np.exp(half), min(noise.n, price.n))
