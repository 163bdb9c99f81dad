"""Seconds of several pieces of work, timed in turn: A B C, C B A, A B C, in blocks of many calls each.

What slows the machine down slows all of them down, and every other round goes backwards, so that a steady drift leaves
their ratios alone. Rounds end when the relative standard error of each is small enough, or at a cap. A block is timed
between two CUDA events on a GPU, which the device reaches when it has done what stands between them, and by
`time.perf_counter` on the CPU. All work is warm: its memory is there, and what fits into a cache may lie in it.
"""

import math
import time
from collections.abc import Callable, Hashable, Mapping
from statistics import NormalDist
from typing import NamedTuple, Protocol, TypeVar

import numpy as np
import torch

from bench.tables.rows import CostRow

Work = Callable[[], object]
Name = TypeVar("Name", bound=Hashable)  # of what is timed


class Rounds(NamedTuple):
    """When enough has been timed.

    Attributes:
        most: blocks of each piece of work, at the most.
        least: and at the least, unless `most` is fewer.
        block: seconds that a block takes at the least.
        calls: of a block at the least.
        warmup: calls before anything is timed, but for those that find the length of a block.
        error: relative standard error at which it ends.
        seconds: for each piece of work, after which no further round begins once there are `least`.
    """

    most: int = 20
    least: int = 5
    block: float = 0.05
    calls: int = 1
    warmup: int = 3
    error: float = 0.01
    seconds: float = 10.0


class Timing(NamedTuple):
    """Of one piece of work: seconds a call, of each block in the order of the rounds, and the calls of a block."""

    blocks: np.ndarray
    calls: int

    @property
    def seconds(self) -> float:
        return float(np.median(self.blocks))

    @property
    def seconds_se(self) -> float | None:
        return standard_error(self.blocks)

    def columns(self) -> CostRow:
        """Columns of table `cost`."""
        q1, median, q3 = np.quantile(self.blocks, [0.25, 0.5, 0.75]).tolist()
        found: CostRow = {"seconds": median, "seconds_se": self.seconds_se, "seconds_q1": q1, "seconds_q3": q3}
        return found | {"repetitions": len(self.blocks), "calls": self.calls}


class Clock(Protocol):
    """Seconds that so many calls take."""

    def __call__(self, work: Work, calls: int) -> float: ...


def host_clock(work: Work, calls: int) -> float:
    """The host's time."""
    start = time.perf_counter()
    for _ in range(calls):
        work()
    return time.perf_counter() - start


class EventClock:
    """The time of a GPU between two events; the device is idle when the first is recorded."""

    def __init__(self, device: torch.device):
        self.device = device

    def __call__(self, work: Work, calls: int) -> float:
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        torch.cuda.synchronize(self.device)
        start.record(torch.cuda.current_stream(self.device))
        for _ in range(calls):
            work()
        end.record(torch.cuda.current_stream(self.device))
        end.synchronize()
        return start.elapsed_time(end) / 1e3


def clock_of(device: torch.device) -> Clock:
    return EventClock(device) if device.type == "cuda" else host_clock


def interleaved(
    works: Mapping[Name, Work], clock: Clock, rounds: Rounds, look: Callable[[], object] = lambda: None
) -> dict[Name, Timing]:
    """Time all pieces of work in turn, with a `look` after every round; the same names."""
    calls = {name: _calls(work, clock, rounds) for name, work in works.items()}
    blocks: dict[Name, list[float]] = {name: [] for name in works}
    least, spent = min(rounds.least, rounds.most), 0.0
    for number in range(rounds.most):
        for name in reversed([*works]) if number % 2 else works:
            seconds = clock(works[name], calls[name])
            spent += seconds
            blocks[name].append(seconds / calls[name])
        look()
        if number + 1 >= least and (spent > rounds.seconds * len(works) or all(map(_precise(rounds), blocks.values()))):
            break
    return {name: Timing(np.array(blocks[name]), calls[name]) for name in works}


def _calls(work: Work, clock: Clock, rounds: Rounds) -> int:
    """Calls that a block needs, found by calling, so that nothing is timed cold."""
    for _ in range(rounds.warmup):
        work()
    if not rounds.block:
        return rounds.calls
    calls, seconds = rounds.calls, clock(work, rounds.calls)
    while seconds < rounds.block:
        calls = min(10 * calls, max(calls + 1, math.ceil(1.2 * calls * rounds.block / max(seconds, 1e-9))))
        seconds = clock(work, calls)
    return calls


def _precise(rounds: Rounds) -> Callable[[list[float]], bool]:
    def precise(blocks: list[float]) -> bool:
        error = standard_error(np.array(blocks))
        return error is not None and error <= rounds.error * float(np.median(blocks))

    return precise


def standard_error(values: np.ndarray) -> float | None:
    """Of the median of values in the order in which they came, each of which may depend on those before; None of one.

    For independent values: half the width of an interval between two order statistics, in normal units (Price and
    Bonett, 2001). A median moves with the signs of the deviations from it, so that the autocorrelation of the signs,
    summed by Geyer's initial positive sequence (1992), makes up for dependence.
    """
    n = len(values)
    if n < 2:
        return None
    ordered = np.sort(values)
    below = max(1, round((n + 1) / 2 - math.sqrt(n)))
    outside = sum(math.comb(n, i) for i in range(below)) / 2 ** (n - 1)
    width = float(ordered[n - below] - ordered[below - 1])
    return (
        width / (2 * NormalDist().inv_cdf(1 - outside / 2)) * math.sqrt(dependence(np.sign(values - np.median(values))))
    )


def dependence(signs: np.ndarray) -> float:
    """By how much dependence makes the variance of the mean of centred values larger, 1 or more."""
    n, square = len(signs), float(signs @ signs) / len(signs)
    if not square:
        return 1.0

    def correlation(lag: int) -> float:  # 1 / n makes up for the mean, which is taken out
        return float(signs[: n - lag] @ signs[lag:]) / (n - lag) / square + 1 / n if lag else 1.0

    total = -1.0
    for lag in range(0, n // 2, 2):
        pair = correlation(lag) + correlation(lag + 1)
        if pair <= 0:
            break
        total += 2 * pair
    return max(1.0, total)
