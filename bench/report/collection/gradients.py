"""Rows of table `gradient` as the report compares them: at the last step, with their price, relative to the
reference."""

from typing import TYPE_CHECKING

from bench.report.collection.collect import Collection
from bench.report.collection.once import once
from bench.report.collection.times import timings

if TYPE_CHECKING:
    import pandas as pd


def last(frame: "pd.DataFrame", by: str) -> "pd.DataFrame":
    """The rows of each run's last step, for each value of the column `by`."""
    return frame[frame.step == frame.groupby(["run", "estimator", by]).step.transform("max")]


def relative(rows: "pd.DataFrame") -> "pd.DataFrame":
    """The rows with the columns relative_bias_sq, relative_variance_noise and relative_mse, each with `_se`.

    The one denominator is `reference_norm_sq`, the squared norm of the reference, the same for all estimators at the
    same parameters; without a positive one the columns are NaN.
    """
    size = rows.reference_norm_sq.where(rows.reference_norm_sq > 0)
    mse = rows.mse.fillna(rows.bias_sq + rows.variance_noise)
    columns = {"bias_sq": rows.bias_sq, "variance_noise": rows.variance_noise, "mse": mse}
    found = {f"relative_{name}": values / size for name, values in columns.items()}
    return rows.assign(**found, **{f"relative_{name}_se": rows[f"{name}_se"] / size for name in columns})


@once
def priced(collection: Collection) -> "pd.DataFrame":
    """The rows of the encoder's gradient at each run's last step, with `seconds`, `seconds_error` (relative) and
    `evaluations_forward` of a gradient, and the columns of `relative`."""
    gradient = collection.joined("gradient")
    cost = timings(collection)
    columns = ["seconds", "seconds_error", "evaluations_forward"]
    cost = cost[cost.what == "gradient"].groupby(["run", "estimator"])[columns].median()
    rows = relative(last(gradient[gradient.part == "encoder"], "part"))
    return rows.merge(cost.reset_index(), on=["run", "estimator"], how="left")
