"""The statistics of the report: Student-t intervals of values and of their logarithms."""

import numpy as np
import pytest
from scipy import stats

from bench.report.collection.statistics import log_t_interval, t_interval


def test_t_interval_is_scipys():
    x = np.random.default_rng(0).normal(3, 2, 5)
    mean, low, high, n = t_interval(x)
    expected = stats.ttest_1samp(x, 0).confidence_interval(0.95)
    np.testing.assert_allclose([mean, low, high], [x.mean(), *expected], rtol=1e-12)
    assert n == 5


def test_t_interval_has_known_values():
    assert t_interval([1.0, 2.0, 3.0]) == pytest.approx(
        (2.0, 2 - 4.302653 / 3**0.5, 2 + 4.302653 / 3**0.5, 3), rel=1e-6
    )
    assert t_interval([1.0, float("nan"), 3.0]) == pytest.approx((2.0, 2 - 12.706205, 2 + 12.706205, 2), rel=1e-6)
    assert t_interval([5.0]) == pytest.approx((5.0, np.nan, np.nan, 1), nan_ok=True)
    assert t_interval([]) == pytest.approx((np.nan, np.nan, np.nan, 0), nan_ok=True)


def test_log_t_interval_is_the_t_interval_of_the_logs():
    x = [0.1, 1.0, 10.0]
    half = 4.302653 * np.log(10) / 3**0.5
    assert log_t_interval(x) == pytest.approx((1.0, np.exp(-half), np.exp(half), 3), rel=1e-5)
    assert log_t_interval([0.0, 2.0]) == pytest.approx((1.0, np.nan, np.nan, 2), nan_ok=True)
