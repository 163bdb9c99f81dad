"""The bound that an estimator optimises, as the report compares it."""

from typing import TYPE_CHECKING

from bench.report.collection.collect import Collection
from bench.report.collection.gradients import last

if TYPE_CHECKING:
    import pandas as pd


def with_bound(objective: "pd.DataFrame") -> "pd.DataFrame":
    """The rows with a column `bound`: what the estimator optimises, elbo or iwae."""
    return objective.assign(bound=objective.elbo.where(objective.objective != "iwae", objective.iwae))


def last_bound(collection: Collection) -> "pd.DataFrame":
    """The rows of each run's last step, on the test split where there is one, with `value`: the bound."""
    rows = with_bound(collection.joined("objective"))
    held_out = (rows.split == "test").groupby(rows.run).transform("any")
    rows = last(rows[rows.split == held_out.map({True: "test", False: "train"})].assign(estimator=""), "split")
    names = collection.units[["run", "estimator"]].drop_duplicates("run")
    rows = rows.drop(columns="estimator").merge(names, on="run")
    return rows.assign(value=rows.bound)
