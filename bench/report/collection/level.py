"""How long a configuration trains until its bound passes a level, the same for all of a panel.

The level is the baseline's for practical purposes: its mean bound at the last step, less the half nat within which two
bounds count as equal; where a panel lacks the baseline it is that of the median configuration. The bound is of the
validation split unless more runs of the panel have one of the test split, and so of the training split.

A run passes where its bound first is at the level, linear between two evaluations. An evaluation that is high by chance
makes it earlier. A run that ended below the level, failed or diverged is censored: it counts as later than all that
passed, so that the median over the runs is not known where half of them or more are censored.
"""

from typing import TYPE_CHECKING, Any

import numpy as np

from bench.report.collection.bounds import with_bound
from bench.report.collection.collect import PANEL, UNIT, Collection
from bench.report.collection.endings import LOST
from bench.report.collection.ranks import HALF_A_NAT, baseline_of
from bench.report.collection.times import timings

if TYPE_CHECKING:
    import pandas as pd

SPLITS = ("validation", "test", "train")
PRICES = ("seconds", "evaluations")


def passages(collection: Collection) -> "pd.DataFrame":
    """A row for each run that is done, failed or diverged, in panels that have bounds: its columns of UNIT and `run`,
    level, split, passed, and of both PRICES what it took until then. Those of a censored run are what it took in all,
    NaN where it failed or diverged; seconds of invalid timings are NaN."""
    import pandas as pd

    rows = with_bound(collection.joined("objective")).sort_values("step")
    rows = rows[rows.bound.notna()]
    cost = collection.joined("cost")
    rows["seconds"] = rows.seconds.mask(rows.run.isin(cost.run[cost.valid.eq(False)]))
    timed = timings(collection)
    per_step = timed[timed.what == "gradient"].groupby("run").evaluations_forward.median()
    rows["evaluations"] = rows.step * rows.run.map(per_step)
    chosen = [(key, *_of_one_split(panel)) for key, panel in rows.groupby(PANEL)]
    final = pd.concat([_final(panel) for _, _, panel in chosen] or [rows])
    baseline = baseline_of(final, collection.baseline)
    counted = collection.units[collection.units.status.isin(["done", *LOST])]
    found: list[dict[str, Any]] = []
    for key, split, panel in chosen:
        level, values = _level(panel, baseline), panel[["bound", *PRICES]].to_numpy(float)
        curves = {run: values[at] for run, at in panel.groupby("run").indices.items()}
        of = counted[(counted[PANEL] == list(key)).all(axis=1)]
        of = of[of.run.isin(list(curves)) | (of.status != "done")]
        for unit in of[[*UNIT, "run"]].itertuples(index=False, name=None):
            passed, prices = passage(curves.get(unit[-1]), level)
            row = dict(zip([*UNIT, "run"], unit, strict=True)) | {"level": level, "split": split, "passed": passed}
            found.append(row | prices)
    return pd.DataFrame(found, columns=[*UNIT, "run", "level", "split", "passed", *PRICES])


def passage(curve: np.ndarray | None, level: float) -> tuple[bool, dict[str, float]]:
    """Whether the curve `[evaluations, 3]`, the bound and both PRICES, passes the level, and what it took; in all if it
    does not. None, a run without a curve, does not pass, and what it took is not known."""
    if curve is None:
        return False, dict.fromkeys(PRICES, float("nan"))
    bound, *taken = curve.T
    above = np.flatnonzero(bound >= level)
    last = above[0] if len(above) else len(bound) - 1
    first = max(last - 1, 0)
    share = (level - bound[first]) / (bound[last] - bound[first]) if len(above) and first < last else 1.0
    ends = {price: of[[first, last]] for price, of in zip(PRICES, taken, strict=True)}
    return bool(len(above)), {price: float(a + share * (b - a)) for price, (a, b) in ends.items()}


def to_level(rows: "pd.DataFrame") -> dict[str, Any]:
    """Of the runs of one configuration the columns that table `comparison` has."""
    passed = rows.passed.astype(bool)
    columns = {"level": rows.level.iloc[0], "level_split": rows.split.iloc[0], "passed": int(passed.sum())}
    return columns | {f"{price}_to_level": median(rows[price], passed) for price in PRICES}


def median(values: "pd.Series", passed: "pd.Series") -> float:
    """That of the runs, censored ones later than all others; NaN where it is one of those. A run that passed at an
    unknown price does not count."""
    counted = values.where(passed, np.inf).dropna()
    middle = float(counted.median()) if len(counted) else float("nan")
    return middle if np.isfinite(middle) else float("nan")


def _of_one_split(panel: "pd.DataFrame") -> "tuple[str, pd.DataFrame]":
    """The one of SPLITS that most runs have, the first of several, and its rows."""
    split = max(SPLITS, key=lambda name: panel.run[panel.split == name].nunique())
    return split, panel[panel.split == split]


def _final(panel: "pd.DataFrame") -> "pd.DataFrame":
    return panel[panel.step == panel.groupby("run").step.transform("max")]


def _level(panel: "pd.DataFrame", baseline: str) -> float:
    means = _final(panel).groupby("label").bound.mean()
    return float(means.get(baseline, means.median())) - HALF_A_NAT
