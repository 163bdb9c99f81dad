"""Which point is chosen, and which is on the edge of what was tried."""

import math

import pytest

from bench.tables.result import Result
from bench.tune.choose import Scored, better_half, choose, edges

NAN = math.nan


def scored(*points):
    """Points of `(bound, spread)`, or of a list of them, one for each seed."""
    found = []
    for number, point in enumerate(points):
        pairs = point if isinstance(point, list) else [point]
        results = [Result("r", "done", bound, 0.1, spread, -bound) for bound, spread in pairs]
        found.append(Scored(number, {"train.lr": 10.0**-number}, results))
    return found


@pytest.mark.parametrize(
    ("points", "number"),
    [
        ([(-100.0, 1.0), (-99.0, 5.0), (-101.0, 0.0)], 1),  # the highest bound, whatever moved less
        ([(-100.0, 1.0), (-99.95, 5.0), (-100.0, 0.5)], 2),  # a tie within 0.1 nat: what moved least
        ([(-100.2, 0.0), (-100.05, 1.0), (-100.0, 3.0)], 1),  # a tie is with the best, not with a neighbour of it
        ([(-100.0, 1.0), (-100.0, 1.0)], 0),  # the earlier one
        ([(-100.05, NAN), (-100.0, NAN)], 1),  # no variance to judge by
        ([(-100.0, NAN), (-100.05, 1.0)], 1),  # one that is known before one that is not
        ([(NAN, NAN), (-1e6, 0.0), (math.inf, 0.0)], 1),  # what has no bound is never chosen
        ([[(-90.0, 0.0), (-110.0, 0.0)], [(-99.0, 0.0), (-99.0, 0.0)]], 1),  # the mean over seeds
        ([[(-90.0, 0.0), (NAN, NAN)], [(-99.0, 0.0), (-99.0, 0.0)]], 1),  # no point wins by the seed it lost
    ],
)
def test_the_highest_bound_is_chosen_and_ties_go_to_what_moved_least(points, number):
    assert choose(scored(*points)).number == number


def test_nothing_is_chosen_where_no_point_has_a_bound():
    assert choose(scored((NAN, NAN), (NAN, 1.0))) is None
    assert choose([]) is None


@pytest.mark.parametrize(
    ("bounds", "kept"),
    [
        ([1.0, 4.0, 2.0, 3.0], [1, 3]),
        ([1.0, 4.0, 2.0], [1, 2]),  # rounded up
        ([NAN, 4.0, NAN, NAN], [1]),  # what has no bound never goes on, though half would be two
        ([2.0, 2.0, 2.0], [0, 1]),  # of equal ones the earlier
        ([5.0], [0]),
    ],
)
def test_the_better_half_goes_on(bounds, kept):
    assert [point.number for point in better_half(scored(*((bound, 0.0) for bound in bounds)))] == kept


def test_a_point_is_on_the_edge_where_nothing_beyond_was_tried():
    values = [{"train.lr": lr, "estimator.k": k} for lr, k in [(1e-3, 2), (1e-2, 4), (1e-1, 4)]]
    points = [Scored(i, value, []) for i, value in enumerate(values)]
    assert [edges(point, points) for point in points] == ["lr low, k low", "k high", "lr high, k high"]
    assert edges(points[0], points[:1]) == ""  # a single value has no edge
