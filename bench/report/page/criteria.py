"""What the first screen of the page compares: for each criterion a value for each estimator and seed.

Each source gives a frame with the columns label, seed, estimator, run, those of PANEL, `value`, and `error`: the
standard error that the draws gave, NaN where none did.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from bench.report.collection.collect import Collection
from bench.report.collection.compare import last, priced, timings
from bench.report.figures.points import with_bound

if TYPE_CHECKING:
    import pandas as pd


class Criterion(NamedTuple):
    """What is compared. `ratio`: on the log scale; `among`: which estimators, by what they claim (None: all)."""

    name: str
    title: str
    meaning: str
    unit: str = ""
    ratio: bool = True
    highest: bool = False
    among: bool | None = None
    by_draws: bool | None = None  # None: at shared checkpoints alone
    by_upper_end: bool = False  # what surely is small leads, not what noise made small


RELATIVE = "squared norm of the reference, or of the mean gradient where the tables lack that; encoder"
UNBIASED = "among the estimators that claim to be unbiased"
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
        f"noise variance of the encoder's gradient x time of a gradient; {UNBIASED}",
        "nats² ms",
        among=True,
    ),
    Criterion("mse", "Error of one gradient", f"(squared bias + noise variance) / {RELATIVE}"),
    Criterion(
        "bias",
        "Bias",
        f"squared bias / {RELATIVE}; the first has the lowest upper end of its interval, since noise alone may make a "
        "measured bias small or negative; among the estimators that claim to be biased",
        ratio=False,
        among=False,
        by_draws=True,
        by_upper_end=True,
    ),
    Criterion(
        "bound",
        "Bound",
        "ELBO, or the IWAE bound where that is optimised, at the last step, on the test split (the training split, "
        "where nothing is held out)",
        "nats",
        ratio=False,
        highest=True,
    ),
    Criterion("seconds", "Time", "time of one gradient, median over repetitions", "ms"),
)


def _priced(price: str, unit: float = 1) -> Callable[[Collection], "pd.DataFrame"]:
    def found(collection: Collection) -> "pd.DataFrame":
        rows = priced(collection)
        each = rows[price] * unit
        return rows.assign(value=rows.variance_noise * each, error=rows.variance_noise_se * each)

    return found


def _relative(collection: Collection) -> "pd.DataFrame":
    rows = priced(collection)
    rows = rows.assign(size=rows.reference_norm_sq.fillna(rows.norm_sq))
    return rows[rows["size"] > 0]


def _bias(collection: Collection) -> "pd.DataFrame":
    rows = _relative(collection)
    return rows.assign(value=rows.bias_sq / rows["size"], error=rows.bias_sq_se / rows["size"])


def _mse(collection: Collection) -> "pd.DataFrame":
    rows = _relative(collection)
    error = rows.mse.fillna(rows.bias_sq + rows.variance_noise)
    return rows.assign(value=error / rows["size"], error=rows.mse_se / rows["size"])


def _bound(collection: Collection) -> "pd.DataFrame":
    rows = with_bound(collection.joined("objective"))
    held_out = (rows.split == "test").groupby(rows.run).transform("any")
    rows = last(rows[rows.split == held_out.map({True: "test", False: "train"})].assign(estimator=""), "split")
    names = collection.units[["run", "estimator"]].drop_duplicates("run")
    return rows.drop(columns="estimator").merge(names, on="run").assign(value=lambda r: r.bound, error=np.nan)


def _seconds(collection: Collection) -> "pd.DataFrame":
    cost = timings(collection)
    seeds = collection.units[["run", "seed", "estimator"]].drop_duplicates("run")
    cost = cost[cost.what == "gradient"].drop(columns=["seed", "estimator"], errors="ignore").merge(seeds, on="run")
    return cost.assign(value=1000 * cost.seconds, error=np.nan)


SOURCES: dict[str, Callable[[Collection], "pd.DataFrame"]] = {
    "variance_x_evaluations": _priced("evaluations_forward"),
    "variance_x_seconds": _priced("seconds", 1000),
    "mse": _mse,
    "bias": _bias,
    "bound": _bound,
    "seconds": _seconds,
}
