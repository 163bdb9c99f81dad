"""Every estimator against every other, seed by seed: what the seeds share, the pairing takes out.

For estimators A and B of one panel, d_s is the difference of their logs in seed s: the same seed has the same initial
weights, data and probe batches. The ratio is exp of the mean of d, its interval that of Student's t on the log. The
probability that A is below B is that of a negative mean of d, given the n differences: normal differences and a flat
prior on their mean and on the log of their standard deviation make (mean of d - true mean) / (s / sqrt n) a Student t
with n - 1 degrees of freedom. Two seeds or more are needed. One seed has a ratio and nothing else, and where a variance
is zero there is no log and no ratio. A quantity with time in it also has the error of times that no seed makes smaller
(`times.TIME_FLOOR`).

Interval and probability are those of one pair alone: of many pairs some differ by chance. `separated` says which differ
with 95 % confidence for all pairs of the panel at once (`simultaneous`).
"""

from typing import TYPE_CHECKING

import numpy as np

from bench.report.collection.collect import PANEL, Collection
from bench.report.collection.gradients import priced
from bench.report.collection.once import once
from bench.report.collection.simultaneous import ENOUGH, by_seeds
from bench.report.collection.statistics import WIDEST
from bench.report.collection.times import TIME_FLOOR
from bench.tables.columns import PAIRS, QUANTITIES

if TYPE_CHECKING:
    import pandas as pd


@once
def pairs(collection: Collection) -> "pd.DataFrame":
    """The table whose columns are `PAIRS`: a row for each two labels of a panel that were measured."""
    import pandas as pd

    rows = _by_run(collection)
    tables = []
    for key, panel in rows.groupby(PANEL, sort=True):
        if len(names := sorted(panel.label.unique())) < 2:
            continue
        first, second = np.triu_indices(len(names), 1)
        found = dict(zip(PANEL, key, strict=True)) | {"A": np.take(names, first), "B": np.take(names, second)}
        for name in QUANTITIES:
            logs = panel.groupby(["label", "seed"])[name].mean().unstack().reindex(names).to_numpy()  # [labels, seeds]
            floor = TIME_FLOOR if "seconds" in name else 0.0
            found |= {f"{name}_{k}": v for k, v in paired(logs[first] - logs[second], floor).items()}
            found[f"{name}_separated"] = _separated(logs, floor)[first, second]
        tables.append(pd.DataFrame(found))
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=list(PAIRS))


def paired(differences: np.ndarray, floor: float = 0.0) -> dict[str, np.ndarray]:
    """Of differences of logs `[pairs, seeds]`, NaN where a seed is missing: ratio, low, high, probability, seeds.

    No low and high where they would be more than a factor `WIDEST` apart. `floor` as in `simultaneous.by_seeds`.
    """
    found = paired_t(differences, floor)
    with np.errstate(over="ignore", invalid="ignore"):
        narrow = found["high"] - found["low"] < np.log(WIDEST)
        ends = {end: np.where(narrow, np.exp(found[end]), np.nan) for end in ("low", "high")}
    return {"ratio": np.exp(found.pop("mean"))} | found | ends


def paired_t(differences: np.ndarray, floor: float = 0.0) -> dict[str, np.ndarray]:
    """Of differences `[pairs, seeds]`, NaN where a seed is missing: mean, low, high, probability of a negative mean,
    seeds."""
    from scipy.special import ndtri, stdtr, stdtrit

    n = (~np.isnan(differences)).sum(1)
    present = np.nan_to_num(differences)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = present.sum(1) / n
        deviations = np.where(np.isnan(differences), 0.0, present - mean[:, None])
        error = np.sqrt((deviations**2).sum(1) / (n - 1) / n)
        factor = stdtrit(n - 1, 0.975)
        half = np.hypot(factor * error, ndtri(0.975) * np.sqrt(2) * floor)
        score = np.where((half == 0) & (mean == 0), 0.0, -mean / half * factor)  # equal in every seed: neither is lower
    found = {"mean": mean, "low": mean - half, "high": mean + half}
    return found | {"probability": stdtr(n - 1, score), "seeds": n}


def _separated(logs: np.ndarray, floor: float) -> np.ndarray:
    """Whether two labels differ, `[labels, labels]`, all pairs judged together; None where there are too few seeds."""
    there = ~np.isnan(logs)
    common = there[:, None] & there[None]
    found = np.full(common.shape[:2], None, object)
    measured = there.any(1)
    if measured.sum() > 1:
        found[np.ix_(measured, measured)] = by_seeds(logs[measured], floor).separated
    found[common.sum(2) < ENOUGH] = None
    return found


def _by_run(collection: Collection) -> "pd.DataFrame":
    """The logs of the three quantities of every unit, NaN where there is none."""
    rows = priced(collection)
    rows["variance_x_evaluations"] = rows.variance_noise * rows.evaluations_forward
    rows["variance_x_seconds"] = rows.variance_noise * rows.seconds
    for name in QUANTITIES:
        rows[name] = np.log(rows[name].where(rows[name] > 0).astype(float))
    return rows
