"""The first screen of the page: for each criterion, the estimator that measured lowest, and from which others the
measurement tells it apart.

Every criterion is a value for each estimator and seed. Along own trajectories the seeds say how sure it is: intervals
are Student's t over seeds, and two estimators are compared by the differences within a seed (`bench.report.pairs`). At
a shared checkpoint, and for a bias anywhere, the draws say it: the error of a value is the standard error that they
gave, and two estimators, drawn with noise of their own, are compared by the normal distribution.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from bench.report.collection.collect import PANEL, Collection
from bench.report.collection.pairs import paired_t
from bench.report.collection.statistics import Interval, t_interval
from bench.report.figures.panels import ENOUGH
from bench.report.page.criteria import CRITERIA, SOURCES, Criterion
from bench.tables.schema import OWN

if TYPE_CHECKING:
    import pandas as pd

ROUNDING = 1e-12  # of the largest value of a panel: what is below has none but that of the arithmetic
CONTROLS = ("detached",)  # learns nothing about the encoder on purpose: no contender


class Contender(NamedTuple):
    """One estimator under one criterion; `against` is the best's ratio to it, or difference from it, and `probability`
    that of the best being better; NaN where neither can be told."""

    label: str
    value: Interval
    against: Interval
    probability: float


class Verdict(NamedTuple):
    """The contenders of one criterion in one panel, the best first; `silent` are those without noise, which have no
    ratio; `seeds` the fewest that any comparison rests on."""

    panel: tuple
    criterion: Criterion
    contenders: list[Contender]
    silent: list[str]
    by_draws: bool

    @property
    def enough(self) -> bool:
        """Whether there is anything to judge by: three seeds, or the draws' own error."""
        return self.by_draws or (bool(self.contenders) and self.contenders[0].value.n >= ENOUGH)

    @property
    def tied(self) -> list[str]:
        """Whom 95 % of certainty do not tell from the best."""
        return [c.label for c in self.contenders[1:] if not c.probability > 0.975]


def verdicts(collection: Collection) -> list[Verdict]:
    """Of every panel and every criterion that was measured there."""
    found = []
    values = {c.name: SOURCES[c.name](collection) for c in CRITERIA}
    claims = collection.units.drop_duplicates(["run", "estimator"])[["run", "estimator", "unbiased"]]
    for panel in sorted(set(collection.units[PANEL].itertuples(index=False, name=None))):
        for criterion in CRITERIA:
            rows = values[criterion.name]
            rows = rows[(rows[PANEL] == list(panel)).all(axis=1) & ~rows.estimator.isin(CONTROLS)]
            rows = rows.merge(claims, on=["run", "estimator"])
            if criterion.among is not None:
                rows = rows[rows.unbiased.eq(criterion.among).fillna(False).astype(bool)]
            rows = rows.dropna(subset=["value"])
            if len(rows):
                shared = panel[PANEL.index("trained_with")] != OWN
                by_draws = shared if criterion.by_draws is None else criterion.by_draws
                found.append(judge(panel, criterion, rows, by_draws and bool(rows.error.notna().any())))
    return [verdict for verdict in found if verdict.contenders or verdict.silent]


def judge(panel: tuple, criterion: Criterion, rows: "pd.DataFrame", by_draws: bool) -> Verdict:
    """The contenders among rows with columns label, seed, value and error, which are not logs yet."""
    silent: list[str] = []
    if criterion.ratio:
        least = ROUNDING * rows.value.max()
        silent = sorted(str(label) for label, of in rows.groupby("label") if (of.value <= least).all())
        rows = rows[rows.value > least]
        if rows.empty:
            return Verdict(panel, criterion, [], silent, by_draws)
        rows = rows.assign(error=rows.error / rows.value, value=np.log(rows.value))
    tables: Any = rows.groupby(["label", "seed"])[["value", "error"]].mean().unstack("seed")
    values, errors = tables["value"], tables["error"]
    rank = values.mean(axis=1)
    if criterion.by_upper_end and by_draws:
        rank = rank + 1.96 * (errors**2).sum(axis=1).pow(0.5) / values.notna().sum(axis=1)
    order = rank.sort_values(ascending=not criterion.highest, kind="stable").index
    back = np.exp if criterion.ratio else np.asarray
    contenders = []
    for label in order:
        value, error = values.loc[label].to_numpy(float), errors.loc[label].to_numpy(float)
        own = _normal(value, error) if by_draws else t_interval(value)
        difference = values.loc[order[0]].to_numpy(float) - value
        if by_draws:
            combined = np.hypot(errors.loc[order[0]].to_numpy(float), error)
            against, probability = _normal(difference, combined), _below(difference, combined)
        else:
            told = {k: v[0] for k, v in paired_t(difference[None]).items()}
            against, probability = Interval(told["mean"], told["low"], told["high"], told["seeds"]), told["probability"]
        if criterion.highest:
            probability = 1 - probability
        contenders.append(Contender(str(label), _mapped(own, back), _mapped(against, back), float(probability)))
    return Verdict(panel, criterion, contenders, silent, by_draws)


def _mapped(interval: Interval, back: Callable) -> Interval:
    mean, low, high, n = interval
    return Interval(float(back(mean)), float(back(low)), float(back(high)), int(n))


def _normal(values: np.ndarray, errors: np.ndarray) -> Interval:
    """Mean over seeds and 95 % of the draws' error."""
    there = ~np.isnan(values)
    if not there.any():
        return Interval(np.nan, np.nan, np.nan, 0)
    mean, half = values[there].mean(), 1.96 * np.sqrt((errors[there] ** 2).sum()) / there.sum()
    return Interval(mean, mean - half, mean + half, int(there.sum()))


def _below(values: np.ndarray, errors: np.ndarray) -> float:
    """Probability of a negative mean."""
    from scipy import stats

    found = _normal(values, errors)
    half = found.high - found.mean
    return float(stats.norm.cdf(-1.96 * found.mean / half)) if half > 0 else float("nan")
