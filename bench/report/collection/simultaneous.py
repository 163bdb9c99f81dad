"""Several estimators compared at once, so that what is said of any of them holds with 95 % for all together.

Of m estimators the lowest measured is low by chance too, so the usual interval of the lowest, and the usual test of two
estimators, err far more often than one time in twenty. Differences are therefore judged by Tukey's studentised range of
m means (J. Tukey, "The problem of multiple comparisons", 1953). The error of a difference over seeds is that of paired
differences: the larger of the pair's own and of the one pooled over all pairs, since three seeds may agree by chance
(Games & Howell 1976 take the pair's own alone). Where spreads differ, Box's epsilon takes degrees of freedom away
(G. Box, "Some theorems on quadratic forms", 1954). Intervals of single means are Bonferroni's.
"""

from typing import NamedTuple

import numpy as np

from bench.report.collection.studentised import beyond, quantile

LEVEL = 0.95
ENOUGH = 3  # seeds from which estimators are compared: with two, Student's t multiplies a standard error by 12.7
DRAWS_FREEDOM = 31  # degrees of freedom of a standard error that 32 groups of draws gave


class Simultaneous(NamedTuple):
    """Means of m estimators `[m]`, the half widths of their intervals `[m]`, and what tells them apart: differences
    `[m, m]`, row minus column, and their standard errors, with their degrees of freedom. NaN where there is none."""

    mean: np.ndarray
    half: np.ndarray
    difference: np.ndarray
    error: np.ndarray
    freedom: float

    @property
    def half_difference(self) -> np.ndarray:
        """Half widths `[m, m]` of the intervals of all differences."""
        return critical(len(self.mean), self.freedom) * self.error

    @property
    def separated(self) -> np.ndarray:
        """Whether the interval of the difference excludes 0, for each pair `[m, m]`."""
        with np.errstate(invalid="ignore"):
            return np.abs(self.difference) > self.half_difference

    def order(self) -> np.ndarray:
        """The estimators from the lowest: those first that are lower than more others, then those of lower mean. Where
        seeds are missing the means alone could contradict the differences, which are over common seeds."""
        with np.errstate(invalid="ignore"):
            return np.lexsort((self.mean, -(self.difference < 0).sum(1)))

    def probability(self, i: int, j: int) -> float:
        """The probability that i is lower than j, by the interval's statistic: 97.5 % where the interval ends at 0."""
        difference, error = self.difference[i, j], self.error[i, j]
        if np.isnan(error) or not self.freedom > 0 or (error == 0 and difference != 0):
            return float("nan") if np.isnan(error) or not self.freedom > 0 else float(difference < 0)
        size = abs(difference) / error if error > 0 else 0.0
        tail = beyond(float(np.sqrt(2) * size), len(self.mean), self.freedom) / 2
        return float(1 - tail if difference <= 0 else tail)


def by_seeds(values: np.ndarray, floor: float = 0.0) -> Simultaneous:
    """Of values `[m, seeds]`, NaN where a seed is missing: the seeds are the sample.

    Args:
        floor: standard error of each mean that no number of seeds makes smaller, independent between estimators.
    """
    m = len(values)
    with np.errstate(invalid="ignore", divide="ignore"):
        squares_of_one, freedom = _residuals(values)
        apart = values[:, None] - values[None]  # [m, m, seeds]
        n = (~np.isnan(apart)).sum(2)
        difference = np.nansum(apart, 2) / n
        squares = np.nansum((apart - difference[:, :, None]) ** 2, 2)
        pooled = squares.sum() / (n - 1).clip(0)[~np.eye(m, dtype=bool)].sum() if m > 1 else 0.0
        error = np.sqrt(np.fmax(squares / (n - 1), pooled) / n)
        mean, half = _means(values, squares_of_one, freedom)
    return Simultaneous(mean, np.hypot(half, _one(m) * floor), difference, _floored(error, floor, m, freedom), freedom)


def by_draws(values: np.ndarray, errors: np.ndarray, floor: float = 0.0) -> Simultaneous:
    """Of values `[m, seeds]` with a standard error each, independent of all others: these seeds are what is meant, and
    the draws are the sample. Differences are over the seeds that two rows share. `floor` as in `by_seeds`."""
    m, freedom, there = len(values), float(DRAWS_FREEDOM), ~np.isnan(values)
    common = there[:, None] & there[None]
    with np.errstate(invalid="ignore", divide="ignore"):
        n, n_common = there.sum(1), common.sum(2)
        mean, error = np.nansum(values, 1) / n, np.sqrt(np.where(there, errors**2, 0.0).sum(1)) / n
        difference = np.where(common, values[:, None] - values[None], 0.0).sum(2) / n_common
        squares = np.where(common, errors[:, None] ** 2 + errors[None] ** 2, 0.0).sum(2)
        apart = _floored(np.sqrt(squares) / n_common, floor, m, freedom)
    half = np.hypot(_one(m, freedom) * error, _one(m) * floor)
    return Simultaneous(mean, half, difference, apart, freedom)


def critical(m: int, freedom: float) -> float:
    """Standard errors that the largest of the differences of m equal means exceeds in 5 %; NaN where nothing is left to
    judge by."""
    if m < 2 or not freedom > 0:
        return float("nan")
    return quantile(LEVEL, m, freedom) / float(np.sqrt(2))


def not_negative(mean: np.ndarray, error: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of what is known of a quantity that cannot be negative, after an unbiased estimate
    with a normal error: those of the normal distribution cut off at 0. An estimate far above 0 stays as it is; one that
    noise made small or negative becomes about as large as its error."""
    from scipy.special import log_ndtr

    with np.errstate(invalid="ignore", divide="ignore"):
        at = -mean / error
        ratio = np.exp(-(at**2) / 2 - np.log(np.sqrt(2 * np.pi)) - log_ndtr(-at))
        variance = np.where(at < 30, 1 + at * ratio - ratio**2, at**-2.0)  # the difference of two large numbers
        cut = mean + error * ratio, error * np.sqrt(variance)
    known = error > 0
    return np.where(known, cut[0], np.where(error == 0, np.fmax(mean, 0), mean)), np.where(known, cut[1], error)


def _one(m: int, freedom: float = np.inf) -> float:
    """The factor on the standard error with which the intervals of all m means hold together."""
    from scipy.special import stdtrit

    return float(stdtrit(freedom, 1 - (1 - LEVEL) / 2 / m))


def _floored(error: np.ndarray, floor: float, m: int, freedom: float) -> np.ndarray:
    """The error together with a floor of known size: half widths add as squares."""
    if not floor:
        return error
    return np.hypot(error, np.sqrt(2) * floor * critical(m, np.inf) / critical(m, freedom))


def _residuals(values: np.ndarray) -> tuple[np.ndarray, float]:
    """What the seeds have in common taken out: the sum of squares of each row `[m]`, and the degrees of freedom of all
    of them pooled: fewer, by Box's epsilon, the more the rows differ in spread."""
    m, there = len(values), ~np.isnan(values)
    n, of_seed = there.sum(1), there.sum(0)
    rest = values - np.nansum(values, 0) / of_seed
    squares = np.nansum((rest - (np.nansum(rest, 1) / n)[:, None]) ** 2, 1)
    full = there.sum() - m - (of_seed > 0).sum() + 1
    variances = (squares / (n - 1))[n > 1]
    epsilon = variances.sum() ** 2 / (variances**2).sum() / len(variances) if variances.any() else 1.0
    return squares, float(np.floor(max(full * epsilon, min(full, n.max() - 1))))  # few values: computed once each


def _means(values: np.ndarray, squares: np.ndarray, freedom: float) -> tuple[np.ndarray, np.ndarray]:
    """Mean over seeds of each row, and the half widths of their intervals: what the seeds have in common moves all
    rows alike and is Student's t of the mean row; the rest is pooled over the rows. The two add as squares."""
    from scipy.special import stdtrit

    m, there = len(values), ~np.isnan(values)
    n, of_seed = there.sum(1), there.sum(0)
    mean = np.nansum(values, 1) / n
    common = (np.nansum(values, 0) / of_seed)[of_seed > 0]
    if len(common) < 2:
        return mean, np.full(m, np.nan)
    seeds = stdtrit(len(common) - 1, (1 + LEVEL) / 2) * common.std(ddof=1) / np.sqrt(n)
    if m == 1:
        return mean, seeds
    pooled = squares.sum() / (there.sum() - m - len(common) + 1)
    spread = np.sqrt(np.fmax(squares / (n - 1), pooled) / n)
    return mean, np.hypot(seeds, _one(m, freedom) * spread)
