"""The rule: reproduced, ordering reproduced, not reproduced, at the edges of the interval that is fixed beforehand."""

import math

import pytest
from scipy import stats

from bench.published.expected import LONGER, Expected
from bench.published.measured import Measured
from bench.published.verdict import MISSED, ORDERED, REPRODUCED, UNJUDGED, compared, half_of

T4 = stats.t.ppf(0.975, 4)


def ours(value, half=0.3, sd=0.2, n=5):
    return Measured(value, half, sd, n, "seeds", ("run",))


def expected(value, sure="read in the paper", **more):
    return Expected(value, sure, "", **more)


@pytest.mark.parametrize(
    ("mine", "theirs", "half"),
    [
        (ours(1.0), expected(1.0, "exact"), 0.3),
        (ours(1.0), expected(1.0, "exact", digits=2), 0.305),
        (ours(1.0), expected(1.0, se=0.2), math.hypot(0.3, 0.2 * stats.norm.ppf(0.975)) + 0.05),
        (ours(1.0), expected(1.00, se=0.2, seeds=5, digits=2), math.hypot(0.3, 0.2 * T4) + 0.005),
        (ours(1.0), expected(1, sd=0.2, seeds=5), math.hypot(0.3, 0.2 * T4 / 5**0.5) + 0.5),
        (ours(1.0), expected(1.0), math.hypot(0.3, 0.2 * T4) + 0.05),  # one seed of theirs, as scattered as ours
        (ours(1.0), expected(1.0, seeds=4), math.hypot(0.3, 0.1 * T4) + 0.05),
        (ours(1.0), expected(1.0, LONGER, se=0.1), math.hypot(0.3, 0.1 * stats.norm.ppf(0.975))),
    ],
)
def test_the_combined_interval_and_its_edges(mine, theirs, half):
    assert compared(mine, theirs).half == pytest.approx(half, rel=1e-9)
    for sign in (1, -1):
        inside, outside = (mine._replace(value=theirs.value + sign * f * half) for f in (0.999, 1.001))
        assert compared(inside, theirs).verdict == REPRODUCED
        assert compared(outside, theirs).verdict == MISSED
        assert compared(outside, theirs).errors == pytest.approx(sign * 1.96 * 1.001, rel=1e-6)


def test_a_bound_from_below_is_reached_from_any_height():
    bound = expected(9.0, at_least=True, digits=1)
    half = compared(ours(9.0), bound).half
    verdicts = [compared(ours(value), bound).verdict for value in (90.0, 9.0 - 0.99 * half, 9.0 - 1.01 * half)]
    assert verdicts == [REPRODUCED, REPRODUCED, MISSED]


def test_an_order_counts_where_every_other_number_lies_on_its_side():
    mine, theirs = ours(12.0), expected(10.0, "exact")
    right = [(ours(13.0), expected(11.0)), (ours(3.0), expected(9.0))]
    assert compared(mine, theirs, right).verdict == ORDERED
    for wrong in (
        [(ours(11.0), expected(11.0))],
        [*right, (ours(12.0), expected(11.0))],
        [(ours(1.0), expected(10.0))],
    ):
        assert compared(mine, theirs, wrong).verdict == MISSED
    assert compared(ours(10.1), theirs, [(ours(11.0), expected(9.0))]).verdict == REPRODUCED  # whatever the order


def test_without_an_interval_there_is_no_verdict():
    single = Measured(1.0, math.nan, math.nan, 1, "nothing", ("run",))
    assert compared(single, expected(1.0, "exact")).verdict == UNJUDGED
    drawn = Measured(1.0, 0.1, math.nan, 1, "draws", ("run",))
    assert compared(drawn, expected(1.0, "exact")).verdict == REPRODUCED
    assert compared(drawn, expected(1.0)).verdict == UNJUDGED  # their spread is not known, and ours is none over seeds
    assert math.isnan(half_of(expected(1.0, se=0.1, seeds=1), drawn))
