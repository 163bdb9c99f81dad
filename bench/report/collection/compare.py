"""One row for each configuration: what it reached, how noisy, how biased and how dear its gradient is."""

from typing import TYPE_CHECKING, Any

import pyarrow as pa

from bench.report.collection.collect import NONE, PANEL, UNIT, Collection
from bench.report.collection.statistics import Interval, log_t_interval, t_interval
from bench.tables.columns import COMPARISON
from bench.tables.schema import FLOAT, STATUSES, Column

if TYPE_CHECKING:
    import pandas as pd


def last(frame: "pd.DataFrame", by: str) -> "pd.DataFrame":
    """The rows of each run's last step, for each value of the column `by`."""
    return frame[frame.step == frame.groupby(["run", "estimator", by]).step.transform("max")]


def timings(collection: Collection) -> "pd.DataFrame":
    """The rows of `cost` of one engine, the seconds of invalid timings left out."""
    cost = collection.joined("cost")
    cost["engine"] = cost.engine.fillna("eager")
    engines = cost.groupby(UNIT).engine.transform(lambda e: "eager" if (e == "eager").any() else e.min())
    cost = cost[cost.engine == engines].copy()
    cost.loc[~cost.valid.fillna(True).astype(bool), "seconds"] = float("nan")
    return cost


def priced(collection: Collection) -> "pd.DataFrame":
    """The rows of the encoder's gradient at each run's last step, with `seconds` and `evaluations_forward` of a
    gradient."""
    gradient = collection.joined("gradient")
    cost = timings(collection)
    cost = cost[cost.what == "gradient"].groupby(["run", "estimator"])[["seconds", "evaluations_forward"]].median()
    rows = last(gradient[gradient.part == "encoder"], "part")
    return rows.merge(cost.reset_index(), on=["run", "estimator"], how="left")


def comparison(collection: Collection) -> "pd.DataFrame":
    """The table whose columns are `COMPARISON`, sorted by panel and then by the test ELBO, the best first."""
    import pandas as pd

    objective, gradient = collection.joined("objective"), collection.joined("gradient")
    gathered: dict[tuple, dict[str, Any]] = {}
    for key, units in collection.units.groupby(UNIT):
        row = dict(zip(UNIT, key, strict=True)) | {status: int((units.status == status).sum()) for status in STATUSES}
        row |= {"estimator": units.estimator.iloc[0], "unbiased": units.unbiased.iloc[0], "seeds": row["done"]}
        gathered[key] = row
    for split, columns in {"train": ["elbo"], "test": ["elbo", "iwae"]}.items():
        for key, rows in last(objective[objective.split == split], "split").groupby(UNIT):
            for column in columns:
                gathered[key] |= _columns(f"{column}_{split}", t_interval(rows[column]))
    final = last(gradient, "part")
    for part in ("encoder", "latent"):
        for key, rows in final[final.part == part].groupby(UNIT):
            gathered[key] |= _columns(f"variance_noise_{part}", log_t_interval(rows.variance_noise))
            if part == "encoder":
                gathered[key] |= _columns("bias_sq", t_interval(rows.bias_sq))
                gathered[key] |= _columns("norm_sq", t_interval(rows.norm_sq))
    for key, rows in timings(collection).groupby(UNIT):
        of_gradient = rows[rows.what == "gradient"]
        gathered[key] |= {
            "engine": rows.engine.iloc[0],
            "seconds_step": rows[rows.what == "step"].seconds.median(),
            "seconds_gradient": of_gradient.seconds.median(),
            "evaluations": rows.evaluations_forward.median(),
            "evaluations_backward": rows.evaluations_backward.median(),
        }
    table = pd.DataFrame(list(gathered.values())).reindex(columns=list(COMPARISON))
    for name, spec in COMPARISON.items():
        if spec.type == FLOAT:
            table[name] = table[name].astype(float)
    table["variance_x_evaluations"] = table.variance_noise_encoder * table.evaluations
    table["variance_x_seconds"] = table.variance_noise_encoder * table.seconds_gradient
    order = [True] * len(PANEL) + [False, True]
    return table.sort_values([*PANEL, "elbo_test", "label"], ascending=order).reset_index(drop=True)


def to_arrow(table: "pd.DataFrame", columns: dict[str, Column]) -> pa.Table:
    """A table of the report with the types of its columns; NaN, and the checkpoint NONE, are null."""
    table = table.assign(checkpoint=table.checkpoint.astype("Int64").mask(table.checkpoint == NONE))
    schema = pa.schema([pa.field(name, column.type) for name, column in columns.items()])
    return pa.Table.from_pandas(table, schema, preserve_index=False).replace_schema_metadata(None)


def _columns(name: str, interval: Interval) -> dict[str, float]:
    return {name: interval.mean, f"{name}_low": interval.low, f"{name}_high": interval.high}
