"""The first screen of the page: for each criterion, the estimator that measured lowest, and from which others the
measurement tells it apart.

Every criterion is a value for each estimator and seed. Along own trajectories the seeds say how sure it is: intervals
are Student's t over seeds, and two estimators are compared by the differences within a seed (`bench.report.pairs`). At a
shared checkpoint, and for a bias anywhere, the draws say it: the error of a value is the standard error that the draws
gave, and two estimators, drawn with noise of their own, are compared by the normal distribution.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from bench.report.collect import PANEL, Collection
from bench.report.compare import last, timings
from bench.report.pairs import paired_t
from bench.report.panels import ENOUGH
from bench.report.points import with_bound
from bench.report.statistics import Interval, t_interval
from bench.schema import OWN

if TYPE_CHECKING:
    import pandas as pd

CONTROLS = ("detached",)  # learns nothing about the encoder on purpose: no contender
KEYS = ["run", "estimator", "label", "seed", "unbiased", *PANEL]


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


CRITERIA = (
    Criterion(
        "variance_x_evaluations", "Noise at equal evaluations", "noise variance of the encoder's gradient x evaluations "
        "of the cost; among the estimators that claim to be unbiased", "nats²", among=True,
    ),
    Criterion(
        "variance_x_seconds", "Noise at equal time", "noise variance of the encoder's gradient x seconds of a gradient; "
        "among the estimators that claim to be unbiased", "nats² s", among=True,
    ),
    Criterion(
        "mse", "Error of one gradient", "(squared bias + noise variance) / squared norm of the reference, or of the mean "
        "gradient where the tables lack that; encoder",
    ),
    Criterion(
        "bias", "Bias", "squared bias / squared norm of the reference, or of the mean gradient where the tables lack that; "
        "encoder; among the estimators that claim to be biased", ratio=False, among=False, by_draws=True,
    ),
    Criterion(
        "bound", "Test bound", "ELBO (or IWAE bound, where that is optimised) on the test split at the last step", "nats",
        ratio=False, highest=True,
    ),
    Criterion("seconds", "Time", "seconds of one gradient", "s"),
)  # fmt: skip


class Contender(NamedTuple):
    """One estimator under one criterion; `against` the best: ratio or difference best to it, and the probability that the
    best is better, NaN where neither can be told."""

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
        return [c.label for c in self.contenders[1:] if not abs(c.probability - 0.5) > 0.475]


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
    """The contenders among rows with columns label, seed, value and error; of a ratio, value and error are not yet logs."""
    silent = []
    if criterion.ratio:
        silent = sorted(label for label, of in rows.groupby("label") if (of.value <= 0).all())
        rows = rows[rows.value > 0]
        rows = rows.assign(error=rows.error / rows.value, value=np.log(rows.value))
    tables = rows.groupby(["label", "seed"])[["value", "error"]].mean().unstack("seed")
    values, errors = tables["value"], tables["error"]
    order = values.mean(axis=1).sort_values(ascending=not criterion.highest, kind="stable").index
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
    return Interval(*(float(back(v)) for v in interval[:3]), int(interval.n))


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


def _noise(collection: Collection) -> "pd.DataFrame":
    """variance_noise at the last step, encoder, with the price of a gradient beside it."""
    gradient = collection.joined("gradient")
    rows = last(gradient[gradient.part == "encoder"], "part")
    cost = timings(collection)
    cost = cost[cost.what == "gradient"].groupby(["run", "estimator"])[["seconds", "evaluations_forward"]].median()
    return rows.merge(cost.reset_index(), on=["run", "estimator"], how="left")


def _priced(price: str) -> Callable[[Collection], "pd.DataFrame"]:
    def found(collection: Collection) -> "pd.DataFrame":
        rows = _noise(collection)
        return rows.assign(value=rows.variance_noise * rows[price], error=rows.variance_noise_se * rows[price])

    return found


def _relative(collection: Collection) -> "pd.DataFrame":
    rows = _noise(collection)
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
    rows = last(rows[rows.split == "test"].assign(estimator=""), "split")
    names = collection.units[["run", "estimator"]].drop_duplicates("run")
    return rows.drop(columns="estimator").merge(names, on="run").assign(value=lambda r: r.bound, error=np.nan)


def _seconds(collection: Collection) -> "pd.DataFrame":
    cost = timings(collection)
    seeds = collection.units[["run", "seed", "estimator"]].drop_duplicates("run")
    cost = cost[cost.what == "gradient"].drop(columns=["seed", "estimator"], errors="ignore").merge(seeds, on="run")
    return cost.assign(value=cost.seconds, error=np.nan)


SOURCES: dict[str, Callable[[Collection], "pd.DataFrame"]] = {
    "variance_x_evaluations": _priced("evaluations_forward"),
    "variance_x_seconds": _priced("seconds"),
    "mse": _mse,
    "bias": _bias,
    "bound": _bound,
    "seconds": _seconds,
}
