"""Every estimator against every other, seed by seed: what the seeds share, the pairing takes out.

For estimators A and B of one panel, d_s is the difference of their logs in seed s: the same seed has the same initial
weights, data and probe batches. The ratio is exp of the mean of d, its interval that of Student's t on the log. The
probability that A is below B is that of a negative mean of d, given the n differences: normal differences and a flat
prior on their mean and on the log of their standard deviation make (mean of d - true mean) / (s / sqrt n) a Student t
with n - 1 degrees of freedom. Two seeds or more are needed. One seed has a ratio and nothing else, and where a variance
is zero there is no log and no ratio.
"""

from typing import TYPE_CHECKING

import numpy as np

from bench.report.collection.collect import PANEL, Collection
from bench.report.collection.compare import priced
from bench.tables.columns import PAIRS, QUANTITIES

if TYPE_CHECKING:
    import pandas as pd


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
            found |= {f"{name}_{k}": v for k, v in paired(logs[first] - logs[second]).items()}
        tables.append(pd.DataFrame(found))
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=list(PAIRS))


def paired(differences: np.ndarray) -> dict[str, np.ndarray]:
    """Of differences of logs `[pairs, seeds]`, NaN where a seed is missing: ratio, low, high, probability, seeds."""
    found = paired_t(differences)
    return {"ratio": np.exp(found.pop("mean"))} | found | {end: np.exp(found[end]) for end in ("low", "high")}


def paired_t(differences: np.ndarray) -> dict[str, np.ndarray]:
    """Of differences `[pairs, seeds]`, NaN where a seed is missing: mean, low, high, probability of a negative mean,
    seeds."""
    from scipy import stats

    n = (~np.isnan(differences)).sum(1)
    present = np.nan_to_num(differences)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = present.sum(1) / n
        deviations = np.where(np.isnan(differences), 0.0, present - mean[:, None])
        error = np.sqrt((deviations**2).sum(1) / (n - 1) / n)
        half = stats.t.ppf(0.975, n - 1) * error
        score = np.where((error == 0) & (mean == 0), 0.0, -mean / error)  # equal in every seed: neither is lower
    found = {"mean": mean, "low": mean - half, "high": mean + half}
    return found | {"probability": stats.t.cdf(score, n - 1), "seeds": n}


def _by_run(collection: Collection) -> "pd.DataFrame":
    """The logs of the three quantities of every unit, NaN where there is none."""
    rows = priced(collection)
    rows["variance_x_evaluations"] = rows.variance_noise * rows.evaluations_forward
    rows["variance_x_seconds"] = rows.variance_noise * rows.seconds
    for name in QUANTITIES:
        rows[name] = np.log(rows[name].where(rows[name] > 0).astype(float))
    return rows
