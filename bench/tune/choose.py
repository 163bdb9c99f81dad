"""Which point is chosen: by the bound of the split that decides, and by nothing else."""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from bench.tables.result import Result

TIE = 0.1  # nats: bounds no further than this from the best count as equal to it


class Scored(NamedTuple):
    """A point and what its runs say, one for each seed."""

    number: int
    values: Mapping[str, float]
    results: Sequence[Result]

    @property
    def bound(self) -> float:
        """The mean over seeds; NaN where a run has none, so that no point wins by the seeds it lost."""
        return _mean([result.bound for result in self.results])

    @property
    def spread(self) -> float:
        """The mean over seeds."""
        return _mean([result.spread for result in self.results])


def choose(points: Sequence[Scored]) -> Scored | None:
    """The point with the highest bound; of those within `TIE` of it the one whose bound moved least over the last
    evaluations, then the higher bound, then the earlier point. None where no point has a bound."""
    able = [point for point in points if math.isfinite(point.bound)]
    if not able:
        return None
    best = max(point.bound for point in able)
    tied = [point for point in able if point.bound >= best - TIE]
    return min(tied, key=lambda p: (p.spread if math.isfinite(p.spread) else math.inf, -p.bound, p.number))


def better_half(points: Sequence[Scored]) -> list[Scored]:
    """The half of the points, rounded up, that goes on to the next stage of `tune.halving`, in the order they came:
    the higher bounds, of equal ones the earlier points. One without a bound never does."""
    able = [point for point in points if math.isfinite(point.bound)]
    kept = sorted(able, key=lambda point: (-point.bound, point.number))[: math.ceil(len(points) / 2)]
    return [point for point in points if point in kept]


def edges(chosen: Scored, points: Sequence[Scored]) -> str:
    """`lr high, temperature low`: the keys of which no point that was tried has a value beyond the chosen one, so that
    the best may lie outside; empty where there is none."""
    found = []
    for key, value in chosen.values.items():
        tried = {point.values[key] for point in points}
        side = "low" if value == min(tried) else "high" if value == max(tried) else ""
        if side and len(tried) > 1:
            found.append(f"{key.rpartition('.')[2]} {side}")
    return ", ".join(found)


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else math.nan
