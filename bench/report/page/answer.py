"""The first screen of the page: for each criterion, the estimator with the lowest value, and those that tie with it.

A criterion gives a value for each estimator and seed. Along own trajectories the seeds are the sample: two estimators
are compared by their differences within a seed. At a shared checkpoint, and for a bias anywhere, the draws are the
sample: the error of a value is its standard error over draws. Order, intervals and probabilities come from one
statistic, whose 95 % hold jointly for all estimators of a criterion (`simultaneous`).
"""

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from bench.report.collection.collect import PANEL, Collection, Group
from bench.report.collection.endings import lost, mixed
from bench.report.collection.simultaneous import ENOUGH, Simultaneous, by_draws, by_seeds, not_negative
from bench.report.collection.statistics import WIDEST, Interval
from bench.report.page.criteria import CRITERIA, SOURCES, Criterion
from bench.tables.schema import OWN_TRAINING

if TYPE_CHECKING:
    import pandas as pd

ROUNDING = 1e-12  # relative to the largest value of a panel; a noise below it is rounding
CONTROLS = ("detached",)  # its encoder learns nothing on purpose, so it is not ranked


class Contender(NamedTuple):
    """One estimator under one criterion. `against` is the ratio of the first contender to it, or their difference;
    `separated` whether that interval excludes equality; `probability` that the first is better, NaN if unknown; `note`
    which runs failed, diverged or gave no finite number, and whether several versions of the code made them."""

    label: str
    value: Interval
    against: Interval
    separated: bool
    probability: float
    note: str


class Ranking(NamedTuple):
    """The contenders of one criterion in one panel, the best first. `behind` are labels, with notes, that are not
    ranked, since some runs failed, diverged or gave no finite number; `noiseless` are labels without noise, for which
    there is no ratio; `by_draws`: the sample are the draws, and not the seeds."""

    panel: Group
    criterion: Criterion
    contenders: list[Contender]
    behind: list[str]
    noiseless: list[str]
    by_draws: bool

    @property
    def enough(self) -> bool:
        """Whether the sample is large enough to compare: three seeds, or errors from the draws."""
        return self.by_draws or (bool(self.contenders) and self.contenders[0].value.n >= ENOUGH)

    @property
    def ties(self) -> list[str]:
        """The contenders that tie with the first: the interval of their difference from it includes equality."""
        return [c.label for c in self.contenders[1:] if not c.separated]


def rankings(collection: Collection, survivors: bool = False) -> list[Ranking]:
    """The ranking of every criterion in every panel where it was measured. With `survivors`, a configuration with runs
    that failed or diverged is ranked by its other runs."""
    found = []
    for criterion in CRITERIA:
        rows = SOURCES[criterion.name](collection)
        found += [
            ranking for panel in _panels(collection) if (ranking := _of(collection, rows, panel, criterion, survivors))
        ]
    order = {panel: i for i, panel in enumerate(_panels(collection))}
    return sorted(found, key=lambda ranking: order[ranking.panel])


def ranked(collection: Collection, panel: Group, criterion: Criterion, survivors: bool, against: str) -> Ranking | None:
    """The ranking of one criterion in a panel, with one more estimator, `against`, with which each is compared."""
    return _of(collection, SOURCES[criterion.name](collection), panel, criterion, survivors, against)


def _panels(collection: Collection) -> list[Group]:
    return sorted(set(collection.units[PANEL].itertuples(index=False, name=None)))


def _of(
    collection: Collection,
    rows: "pd.DataFrame",
    panel: Group,
    criterion: Criterion,
    survivors: bool,
    against: str | None = None,
) -> Ranking | None:
    rows = rows[(rows[PANEL] == list(panel)).all(axis=1) & ~rows.estimator.isin(CONTROLS)]
    claims = collection.units.drop_duplicates(["run", "estimator"])[["run", "estimator", "unbiased"]]
    rows = rows.merge(claims, on=["run", "estimator"])
    if criterion.among is not None:
        rows = rows[rows.unbiased.eq(criterion.among).fillna(False).astype(bool) | (rows.label == against)]
    rows = rows[rows.value.notna() | rows.broken]
    if rows.empty:
        return None
    shared = panel[PANEL.index("trained_with")] != OWN_TRAINING
    draws = shared if criterion.by_draws is None else criterion.by_draws
    notes, remarks = (
        {key[-1]: words for key, words in of.items() if key[:-1] == panel}
        for of in (lost(collection.units), mixed(collection.units))
    )
    by = draws and bool(rows.error.notna().any())
    ranking = rank(panel, criterion, rows, by, notes, survivors, remarks, against)
    return ranking if ranking.contenders or ranking.behind or ranking.noiseless else None


def rank(
    panel: Group,
    criterion: Criterion,
    rows: "pd.DataFrame",
    draws: bool,
    notes: dict[str, str],
    survivors: bool = False,
    remarks: dict[str, str] | None = None,
    against: str | None = None,
) -> Ranking:
    """The contenders among rows with the columns label, seed, value, error and broken.

    Args:
        panel, criterion: of the ranking.
        rows: the values.
        draws: whether the sample are the draws, which give the errors of the values, and not the seeds.
        notes: by label, which runs failed or diverged.
        survivors: as in `rankings`.
        remarks: by label, further remarks, which do not keep it from being ranked.
        against: the label with which each is compared; by default the first.
    """
    noiseless: list[str] = []
    notes = dict(notes)
    for label, of in rows.groupby("label"):
        if of.broken.any():
            broken = f"no finite number in {of.broken.sum()} of {len(of)} runs"
            notes[str(label)] = ", ".join(filter(None, [notes.get(str(label), ""), broken]))
    if criterion.ratio:
        least = ROUNDING * rows.value.max()
        largest = rows[rows.value.notna()].groupby("label").value.max()
        noiseless = sorted(str(label) for label in largest.index[largest <= least])
        rows = rows[(rows.value > least) | (rows.broken & ~rows.label.isin(noiseless))]
        rows = rows.assign(error=rows.error / rows.value, value=np.log(rows.value))
    labels = set(rows.label[rows.value.notna()])
    behind = sorted(notes.keys() & set(rows.label)) if not survivors else sorted(set(rows.label) - labels)
    if labels - set(behind):
        rows = rows[rows.label.isin(labels - set(behind))]
    else:  # all have lost runs: their other runs are ranked
        behind = sorted(set(rows.label) - labels)
        rows = rows[rows.label.isin(labels)]
    remarks = remarks or {}
    said = {label: ", ".join(filter(None, [notes.get(label), remarks.get(label)])) for label in notes | remarks}
    contenders = _contenders(criterion, rows, draws, said, against) if len(rows) else []
    return Ranking(panel, criterion, contenders, [f"{b} ({said[b]})" for b in behind], noiseless, draws)


def _contenders(
    criterion: Criterion, rows: "pd.DataFrame", draws: bool, notes: dict[str, str], against: str | None = None
) -> list[Contender]:
    """The contenders of all labels in the rows, the best first. Values of a criterion with ratios are logs already."""
    tables: Any = rows.groupby(["label", "seed"])[["value", "error"]].mean().unstack("seed")
    values, errors = tables["value"], tables["error"].to_numpy(float)
    sign = -1 if criterion.highest else 1
    compared = _compared(criterion, sign * values.to_numpy(float), errors if draws else None)
    back = np.exp if criterion.ratio else np.asarray
    n, contenders = values.notna().sum(axis=1).to_numpy(), list[Contender]()
    order = compared.order()
    first = list(values.index).index(against) if against in values.index else order[0]
    for i in order:
        value = _interval(sign * compared.mean[i], compared.half[i], n[i], back)
        if criterion.not_negative:
            value = value._replace(low=max(value.low, 0.0))
        shared = int((values.iloc[first].notna() & values.iloc[i].notna()).sum())
        half = compared.half_difference[first, i]
        ratio = _interval(sign * compared.difference[first, i], half, shared, back)
        probability = compared.probability(first, i) if len(contenders) == 1 else float("nan")
        label, separated = str(values.index[i]), bool(compared.separated[first, i])
        contenders.append(Contender(label, value, ratio, separated, probability, notes.get(label, "")))
    return contenders


def _compared(criterion: Criterion, values: np.ndarray, errors: np.ndarray | None) -> Simultaneous:
    if errors is None:
        return by_seeds(values, criterion.floor)
    if criterion.not_negative:
        found = by_draws(values, errors)
        n = (~np.isnan(values)).sum(1)
        error = np.sqrt(np.where(np.isnan(values), 0.0, errors**2).sum(1)) / n
        mean, deviation = not_negative(found.mean, error)
        return by_draws(mean[:, None], deviation[:, None])
    return by_draws(values, errors, criterion.floor)


def _interval(mean: float, half: float, n: int, back: Any) -> Interval:
    if back is np.exp and not 2 * half < np.log(WIDEST):
        half = np.nan
    return Interval(float(back(mean)), float(back(mean - half)), float(back(mean + half)), int(n))
