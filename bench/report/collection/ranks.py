"""Every estimator against a baseline, over families and problems together.

A problem is a panel of the report. In problem p and seed s, d_ps is the difference from the baseline, of the logs of a
noise or of the bounds. The model is d_ps = mu + a_p + e_ps, problems and seeds drawn at random, so problems are the
sample: the interval of mu is Student's t over the means of the problems, whose spread holds that of the seeds too. Few
problems may agree by chance, so their spread counts as no less than the seeds alone would make it. Of a single problem
the seeds are the sample, and nothing is said of another problem.

Within `EQUAL` of none a difference does not matter in practice. `better`: mu lies beyond that, `worse`: on the other
side, `equal`: within (two one-sided tests, D. Schuirmann 1987), else `undecided`. The p-values are Holm's (1979) over
the estimators compared, so that with 95 % not one of these words is wrong for a quantity.
"""

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from bench.report.collection.bounds import last_bound
from bench.report.collection.collect import PANEL, UNIT, Collection, Group
from bench.report.collection.endings import lost
from bench.report.collection.gradients import priced
from bench.report.collection.once import once
from bench.report.collection.simultaneous import LEVEL
from bench.report.collection.times import TIME_FLOOR
from bench.tables.columns import RANKS

if TYPE_CHECKING:
    import pandas as pd

TENTH, HALF_A_NAT = float(np.log(1.1)), 0.5
Differences = dict[Group, dict[str, np.ndarray]]  # of each problem and label those of the seeds


class Quantity(NamedTuple):
    """What is compared: within `equal` of none a difference does not matter; `sign` is -1 where more is better."""

    name: str
    equal: float
    ratio: bool
    sign: int = 1
    floor: float = 0.0


QUANTITIES = (
    Quantity("variance_x_evaluations", TENTH, True),
    Quantity("variance_x_seconds", TENTH, True, floor=float(np.sqrt(2)) * TIME_FLOOR),
    Quantity("bound", HALF_A_NAT, False, sign=-1),
)


class Effect(NamedTuple):
    """Of one estimator: the mean of mu, its standard error and degrees of freedom, the spread of a new problem around
    it, and over how many problems."""

    mean: float
    error: float
    freedom: int
    spread: float
    problems: int


@once
def ranks(collection: Collection) -> "pd.DataFrame":
    """The table whose columns are `RANKS`, own trajectories and shared checkpoints apart."""
    import pandas as pd

    rows = []
    for shared in (False, True):
        measured = collection.measured(shared=shared)
        for quantity in QUANTITIES if len(measured.units) else ():
            baseline, found = differences(measured, quantity)
            about = {"trained_with": "shared" if shared else "own", "quantity": quantity.name, "baseline": baseline}
            rows += [about | row for row in compared(found, quantity, baseline)]
    return pd.DataFrame(rows).reindex(columns=list(RANKS))


def differences(collection: Collection, quantity: Quantity) -> tuple[str, Differences]:
    """The label of the baseline, and the differences from it; empty where no problem has it. A configuration of which
    runs failed or diverged has none on that problem: its other runs alone would flatter it."""
    rows = _values(collection, quantity)
    rows = rows[rows.value.notna() & ~rows.set_index(UNIT).index.isin(list(lost(collection.units)))]
    baseline = baseline_of(rows, collection.baseline)
    found: Differences = {}
    for key, panel in rows.groupby(PANEL, sort=True):
        table = panel.groupby(["label", "seed"]).value.mean().unstack()
        if baseline in table.index:
            apart = table - table.loc[baseline]
            found[key] = {str(n): v[~np.isnan(v)] for n, v in zip(apart.index, apart.to_numpy(float), strict=True)}
            found[key] = {name: v for name, v in found[key].items() if len(v)}
    return baseline, found


def baseline_of(rows: "pd.DataFrame", name: str) -> str:
    """The label of that name; else of the estimator of that name the one on the most problems, the first of several."""
    if (rows.label == name).any() or rows.empty:
        return name
    of = rows[rows.estimator == name]
    counts = of[[*PANEL, "label"]].drop_duplicates().label.value_counts()
    return min(map(str, counts.index), key=lambda label: (-counts[label], label), default=name)


def compared(found: Differences, quantity: Quantity, baseline: str) -> list[dict[str, Any]]:
    """A row for each label but the baseline, the best first."""
    names = sorted({name for of in found.values() for name in of} - {baseline})
    effects = {name: effect([of[name] for of in found.values() if name in of], quantity.floor) for name in names}
    verdicts = judged(list(effects.values()), quantity)
    rows = []
    for (name, of), (p, verdict) in zip(effects.items(), verdicts, strict=True):
        low, high = interval(of)
        ends = [float(np.exp(v)) if quantity.ratio else v for v in (of.mean, low, high)]
        row = dict(zip(("value", "low", "high"), ends, strict=True)) | {"label": name, "problems": of.problems}
        rows.append(row | {"probability": beats(of, quantity.sign), "p": p, "verdict": verdict, "order": of.mean})
    return sorted(rows, key=lambda row: quantity.sign * row["order"])


def effect(problems: list[np.ndarray], floor: float = 0.0) -> Effect:
    """Of the differences of the seeds of each problem."""
    means = np.array([of.mean() for of in problems])
    own = np.array([of.var(ddof=1) / len(of) if len(of) > 1 else np.nan for of in problems]) + floor**2
    n = len(problems)
    if n == 1:
        return Effect(float(means[0]), float(np.sqrt(own[0])), len(problems[0]) - 1, float("nan"), 1)
    within = float(np.nanmean(own)) if np.isfinite(own).any() else 0.0
    variance = max(float(means.var(ddof=1)), within)
    return Effect(float(means.mean()), float(np.sqrt(variance / n)), n - 1, float(np.sqrt(variance)), n)


def interval(of: Effect) -> tuple[float, float]:
    """The 95 % interval of the mean over problems; NaN where there is nothing to judge by."""
    from scipy.special import stdtrit

    half = stdtrit(of.freedom, (1 + LEVEL) / 2) * of.error if of.freedom > 0 else np.nan
    return float(of.mean - half), float(of.mean + half)


def beats(of: Effect, sign: int = 1) -> float:
    """The probability of being better than the baseline on a new problem of the same kind, seeds included."""
    from scipy.special import stdtr

    if of.problems < 2 or not of.spread > 0:
        return float("nan")
    return float(stdtr(of.freedom, -sign * of.mean / (of.spread * np.sqrt(1 + 1 / of.problems))))


def judged(effects: list[Effect], quantity: Quantity) -> list[tuple[float, str]]:
    """Holm's p-value and the word of each; NaN and `undecided` where there is nothing to judge by."""
    words, raw = [], []
    for of in effects:
        claims = _claims(of, quantity)
        words.append(min(claims, key=lambda word: claims[word]) if claims else "undecided")
        raw.append(min(claims.values()) if claims else np.nan)
    adjusted = holm(np.array(raw))
    return [(float(p), word if p <= 1 - LEVEL else "undecided") for p, word in zip(adjusted, words, strict=True)]


def _claims(of: Effect, quantity: Quantity) -> dict[str, float]:
    """The p-value of each word. Two words can be wrong of a difference that does not matter, so those count double."""
    from scipy.special import stdtr

    if of.freedom < 1 or not of.error > 0:
        return {}
    mean = quantity.sign * of.mean
    less = {side: float(stdtr(of.freedom, (mean - side * quantity.equal) / of.error)) for side in (-1, 1)}
    equal = max(1 - less[-1], less[1])
    return {"better": min(2 * less[-1], 1.0), "worse": min(2 * (1 - less[1]), 1.0), "equal": equal}


def holm(p: np.ndarray) -> np.ndarray:
    """Holm's adjusted p-values; NaN stays."""
    found, there = np.full(len(p), np.nan), np.flatnonzero(~np.isnan(p))
    order = there[np.argsort(p[there], kind="stable")]
    factors = np.arange(len(order), 0, -1)
    found[order] = np.minimum(np.maximum.accumulate(p[order] * factors), 1.0)
    return found


def _values(collection: Collection, quantity: Quantity) -> "pd.DataFrame":
    """Rows with `value`: a log, or a bound."""
    if quantity.name == "bound":
        return last_bound(collection)
    rows = priced(collection)
    price = rows.evaluations_forward if quantity.name == "variance_x_evaluations" else rows.seconds
    value = rows.variance_noise * price
    return rows.assign(value=np.log(value.where(value > 0).astype(float)))
