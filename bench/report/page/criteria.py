"""The criteria that the first screen of the page compares: each gives a value for each estimator and seed.

Each source returns a frame with the columns label, seed, estimator, run, those of PANEL, and `value`, NaN where there
is none; `error`, its standard error over draws or repetitions, else NaN; `broken`, whether a measured value is not a
finite number.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from bench.report.collection.bounds import last_bound
from bench.report.collection.collect import Collection
from bench.report.collection.gradients import priced
from bench.report.collection.times import TIME_FLOOR, timings

if TYPE_CHECKING:
    import pandas as pd


class Criterion(NamedTuple):
    """A criterion. `ratio`: compared on the log scale; `among`: estimators with this tag `unbiased` (None: all)."""

    name: str
    title: str
    meaning: str
    unit: str = ""
    ratio: bool = True
    highest: bool = False
    among: bool | None = None
    by_draws: bool | None = None  # None: at shared checkpoints alone
    not_negative: bool = False  # the true value cannot be negative, though an estimate can
    floor: float = 0.0  # the least relative standard error, whatever the seeds and draws give
    sample: str = "draws"  # the sample behind the errors of the values


RELATIVE = "reference_norm_sq, the squared norm of the reference; encoder"
UNBIASED = "among the estimators that claim to be unbiased"
TIMED = f"the error of a time is at least {TIME_FLOOR:.0%}".replace("%", " %")
CRITERIA = (
    Criterion(
        "variance_x_evaluations",
        "Noise at equal evaluations",
        f"noise variance of the encoder's gradient x evaluations of the cost; {UNBIASED}",
        "nats²",
        among=True,
    ),
    Criterion(
        "variance_x_seconds",
        "Noise at equal time",
        f"noise variance of the encoder's gradient x time of a gradient; {UNBIASED}; {TIMED}",
        "nats² ms",
        among=True,
        floor=TIME_FLOOR,
    ),
    Criterion(
        "mse", "Error of one gradient", f"relative mean squared error: (squared bias + noise variance) / {RELATIVE}"
    ),
    Criterion(
        "bias",
        "Bias",
        f"relative squared bias: squared bias / {RELATIVE}; mean and interval take into account that a square cannot "
        "be negative; among the estimators that claim to be biased",
        ratio=False,
        among=False,
        by_draws=True,
        not_negative=True,
    ),
    Criterion(
        "bound",
        "Bound",
        "ELBO, or the IWAE bound if the estimator optimises that, at the last step, on the test split (or the training "
        "split, if there is no test split)",
        "nats",
        ratio=False,
        highest=True,
    ),
    Criterion(
        "seconds",
        "Time",
        f"time of one gradient, median over repetitions; {TIMED}",
        "ms",
        floor=TIME_FLOOR,
        sample="repetitions",
    ),
)


def _by_evaluations(collection: Collection) -> "pd.DataFrame":
    rows = priced(collection)
    each = rows.evaluations_forward
    rows = rows.assign(value=rows.variance_noise * each, error=rows.variance_noise_se * each)
    return rows.assign(broken=rows.variance_noise.isna())


def _by_seconds(collection: Collection) -> "pd.DataFrame":
    rows = priced(collection)
    value = 1000 * rows.variance_noise * rows.seconds
    error = value * np.hypot(rows.variance_noise_se / rows.variance_noise, rows.seconds_error)
    return rows.assign(value=value, error=error, broken=rows.variance_noise.isna())


def _bias(collection: Collection) -> "pd.DataFrame":
    rows = priced(collection)
    broken = rows.reference.notna() & rows.bias_sq.isna()
    return rows.assign(value=rows.relative_bias_sq, error=rows.relative_bias_sq_se, broken=broken)


def _mse(collection: Collection) -> "pd.DataFrame":
    rows = priced(collection)
    broken = rows.reference.notna() & (rows.bias_sq + rows.variance_noise).isna()
    return rows.assign(value=rows.relative_mse, error=rows.relative_mse_se, broken=broken)


def _bound(collection: Collection) -> "pd.DataFrame":
    rows = last_bound(collection)
    return rows.assign(error=np.nan, broken=rows.value.isna())


def _seconds(collection: Collection) -> "pd.DataFrame":
    cost = timings(collection)
    seeds = collection.units[["run", "seed", "estimator"]].drop_duplicates("run")
    cost = cost[cost.what == "gradient"].drop(columns=["seed", "estimator"], errors="ignore").merge(seeds, on="run")
    return cost.assign(value=1000 * cost.seconds, error=1000 * cost.seconds * cost.seconds_error, broken=False)


SOURCES: dict[str, Callable[[Collection], "pd.DataFrame"]] = {
    "variance_x_evaluations": _by_evaluations,
    "variance_x_seconds": _by_seconds,
    "mse": _mse,
    "bias": _bias,
    "bound": _bound,
    "seconds": _seconds,
}
