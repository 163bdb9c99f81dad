"""What a smaller budget would have found, by the order statistics of the points that were tried."""

from collections.abc import Iterable
from math import comb

import numpy as np


def expected_best(bounds: Iterable[float]) -> tuple[np.ndarray, np.ndarray]:
    """Budgets n, and the mean of the best of n points `[N]`, over all choices of n of the N points without replacement:

        sum_i x_(i) C(i - 1, n - 1) / C(N, n),   x_(1) <= ... <= x_(N)

    A point without a bound, NaN, is worse than all others, so that the curve begins where no choice has such points
    alone. Unbiased for points that are drawn independently (with replacement, as in Dodge et al. 2019, it is not:
    Tang et al. 2020, arXiv:2004.12375).
    """
    values = np.asarray(list(bounds), dtype=float)
    ordered, lost = np.sort(values[~np.isnan(values)]), int(np.isnan(values).sum())
    total = len(values)
    budgets = np.arange(lost + 1, total + 1)
    means = []
    for n in budgets:
        shares = np.array([comb(i - 1, int(n) - 1) / comb(total, int(n)) for i in range(lost + 1, total + 1)])
        means.append(float((shares * ordered).sum()))
    return budgets, np.array(means)
