"""What is said of our number beside an expected one, by a rule that was fixed before anything ran.

* reproduced: they differ by no more than the combined 95 % interval, the root of the sum of the squares of both halves,
  plus half a unit of the last digit that was published. Of a bound from below: ours reaches it, or misses it by no
  more.
* ordering reproduced: they differ by more, and within the group each other number that ran lies on the side of ours on
  which its expected value lies of this one's.
* not reproduced: neither.

Half of the published interval is Student's t times the standard error, where that is known or the standard deviation
is; of an exact value it is 0. Where a paper gives no spread, the spread of our seeds stands in for that of theirs, of
as many seeds as they had, one where they do not say. Our own half is over seeds; over draws or examples with one seed.
"""

import math
from collections.abc import Iterable
from decimal import Decimal
from typing import NamedTuple

from bench.published.expected import LONGER, Expected
from bench.published.measured import Measured

REPRODUCED, ORDERED, MISSED, UNJUDGED = "reproduced", "ordering reproduced", "not reproduced", "no interval"


class Compared(NamedTuple):
    """Ours less the expected value, half of the combined 95 % interval, and the verdict."""

    difference: float
    half: float
    verdict: str

    @property
    def errors(self) -> float:
        """The difference in combined standard errors."""
        return 1.96 * self.difference / self.half if self.half else math.nan


def compared(ours: Measured, expected: Expected, others: Iterable[tuple[Measured, Expected]] = ()) -> Compared:
    """The verdict on one number; `others` are those of its group."""
    difference = ours.value - expected.value
    half = math.hypot(ours.half, half_of(expected, ours)) + _rounding(expected)
    if math.isnan(half):
        verdict = UNJUDGED
    elif difference >= -half if expected.at_least else abs(difference) <= half:
        verdict = REPRODUCED
    else:
        verdict = ORDERED if _ordered(ours, expected, others) else MISSED
    return Compared(difference, half, verdict)


def half_of(expected: Expected, ours: Measured) -> float:
    """Half of the 95 % interval of an expected value, less its rounding."""
    if expected.sure == "exact":
        return 0.0
    if expected.se is not None:
        return _t(expected.seeds) * expected.se
    if expected.sd is not None and expected.seeds:
        return _t(expected.seeds) * expected.sd / math.sqrt(expected.seeds)
    return _t(ours.n) * ours.sd / math.sqrt(expected.seeds or 1)


def _t(seeds: int | None) -> float:
    """Student's factor of a mean of so many; the normal one where the number is not known."""
    from scipy import stats

    if seeds == 1:
        return math.nan
    return float(stats.norm.ppf(0.975) if seeds is None else stats.t.ppf(0.975, seeds - 1))


def _rounding(expected: Expected) -> float:
    """Half a unit of the last digit that is given; none of our own value, and of an exact one that is not rounded."""
    digits = expected.digits
    if digits is None:
        if expected.sure in ("exact", LONGER):
            return 0.0
        digits = -int(Decimal(str(expected.value)).as_tuple().exponent)
    return 0.5 * 10.0**-digits


def _ordered(ours: Measured, expected: Expected, others: Iterable[tuple[Measured, Expected]]) -> bool:
    pairs = [(ours.value - o.value, expected.value - e.value) for o, e in others if e.value != expected.value]
    return bool(pairs) and all(mine * theirs > 0 for mine, theirs in pairs)
