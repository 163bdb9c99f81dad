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

from bench.report.collect import PANEL, Collection
from bench.report.compare import priced
from bench.schema import FLOAT, INT, TEXT, Column

if TYPE_CHECKING:
    import pandas as pd

QUANTITIES = {
    "variance_noise": "variance_noise at the last step, encoder",
    "variance_x_evaluations": "variance_noise x evaluations of the cost",
    "variance_x_seconds": "variance_noise x seconds of a gradient",
}


def _columns(name: str, meaning: str) -> dict[str, Column]:
    return {
        f"{name}_ratio": Column(FLOAT, f"{meaning}: A over B, geometric mean over seeds"),
        f"{name}_low": Column(FLOAT, f"lower end of the 95 % interval of {name}_ratio: Student's t on paired logs"),
        f"{name}_high": Column(FLOAT, f"upper end of the 95 % interval of {name}_ratio"),
        f"{name}_probability": Column(FLOAT, f"probability that A has the lower {name}, from Student's t posterior"),
        f"{name}_seeds": Column(INT, f"seeds in which both have a positive {name}"),
    }


PAIRS: dict[str, Column] = {
    "family": Column(TEXT, "latent family"),
    "objective": Column(TEXT, "what both optimise: elbo or iwae"),
    "setting": Column(TEXT, "the problem, where the collection holds several: data, latent, model, objective"),
    "trained_with": Column(TEXT, "own, or the estimator that trained the checkpoint of a probe"),
    "checkpoint": Column(INT, "training steps of the shared checkpoint; null along own trajectories"),
    "A": Column(TEXT, "label of one estimator, as in the comparison"),
    "B": Column(TEXT, "label of the other, later in the alphabet"),
    **{column: spec for name, meaning in QUANTITIES.items() for column, spec in _columns(name, meaning).items()},
}


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
