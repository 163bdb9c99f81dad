"""One row for each configuration: what it reached, how noisy, how biased and how expensive its gradient is."""

from typing import TYPE_CHECKING, Any

import pyarrow as pa

from bench.report.collection.collect import OWN_TRAJECTORY, PANEL, UNIT, Collection, Group
from bench.report.collection.endings import codes_of, incomplete
from bench.report.collection.gradients import last, relative
from bench.report.collection.level import passages, to_level
from bench.report.collection.once import once
from bench.report.collection.statistics import Interval, log_t_interval, t_interval
from bench.report.collection.times import product, time_interval, timings
from bench.tables.columns import COMPARISON
from bench.tables.schema import FLOAT, INT, STATUSES, Column

if TYPE_CHECKING:
    import pandas as pd


@once
def comparison(collection: Collection) -> "pd.DataFrame":
    """The table whose columns are `COMPARISON`, sorted by panel and then by the test ELBO, the best first; behind them
    the configurations of which runs failed or diverged."""
    import pandas as pd

    objective, gradient = collection.joined("objective"), collection.joined("gradient")
    gathered: dict[Group, dict[str, Any]] = {}
    for key, units in collection.units.groupby(UNIT):
        row = dict(zip(UNIT, key, strict=True)) | {status: int((units.status == status).sum()) for status in STATUSES}
        row |= {"estimator": units.estimator.iloc[0], "unbiased": units.unbiased.iloc[0], "seeds": row["done"]}
        row |= {"codes": codes_of(units), "tuned": bool(units.tuned.any())}
        gathered[key] = row
    for split, columns in {"train": ["elbo"], "test": ["elbo", "iwae"]}.items():
        for key, rows in last(objective[objective.split == split], "split").groupby(UNIT):
            for column in columns:
                gathered[key] |= _columns(f"{column}_{split}", t_interval(rows[column]))
    final = relative(last(gradient, "part"))
    for key, rows in final[final.part == "latent"].groupby(UNIT):
        gathered[key] |= _columns("variance_noise_latent", log_t_interval(rows.variance_noise))
    noises = {}
    for key, rows in final[final.part == "encoder"].groupby(UNIT):
        noises[key] = log_t_interval(rows.variance_noise)
        gathered[key] |= _columns("variance_noise_encoder", noises[key])
        for column in ("bias_sq", "norm_sq", "relative_bias_sq"):
            gathered[key] |= _columns(column, t_interval(rows[column]))
    for key, rows in timings(collection).groupby(UNIT):
        of = {what: rows[rows.what == what] for what in ("step", "gradient")}
        evaluations = rows.evaluations_forward.median()
        gathered[key] |= {"engine": rows.engine.iloc[0], "evaluations": evaluations}
        gathered[key] |= {"evaluations_backward": rows.evaluations_backward.median()}
        for what, timed in of.items():
            gathered[key] |= _columns(f"seconds_{what}", time_interval(timed))
        if key in noises:
            mean, low, high, n = noises[key]
            counted = Interval(mean * evaluations, low * evaluations, high * evaluations, n)
            gathered[key] |= _columns("variance_x_evaluations", counted)
            gathered[key] |= _columns("variance_x_seconds", product(noises[key], time_interval(of["gradient"])))
    for key, rows in passages(collection).groupby(UNIT):
        gathered[key] |= to_level(rows)
    table = pd.DataFrame(list(gathered.values())).reindex(columns=list(COMPARISON))
    for name, spec in COMPARISON.items():
        if spec.type in (FLOAT, INT) and name not in (*STATUSES, "seeds", "codes", "checkpoint"):
            table[name] = table[name].astype(float)
    order = [True] * len(PANEL) + [True, False, True]
    table = table.assign(behind=incomplete(table))
    table = table.sort_values([*PANEL, "behind", "elbo_test", "label"], ascending=order).reset_index(drop=True)
    return table.drop(columns="behind")


def to_arrow(table: "pd.DataFrame", columns: dict[str, Column]) -> pa.Table:
    """A table of the report with the types of its columns; NaN, and the checkpoint OWN_TRAJECTORY, are null."""
    if "checkpoint" in table:
        table = table.assign(checkpoint=table.checkpoint.astype("Int64").mask(table.checkpoint == OWN_TRAJECTORY))
    schema = pa.schema([pa.field(name, column.type) for name, column in columns.items()])
    return pa.Table.from_pandas(table, schema, preserve_index=False).replace_schema_metadata(None)


def _columns(name: str, interval: Interval) -> dict[str, float]:
    bounds = {f"{name}_low": interval.low, f"{name}_high": interval.high, f"{name}_n": interval.n}
    return {name: interval.mean, **bounds}
