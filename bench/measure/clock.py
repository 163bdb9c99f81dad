"""Timing of several pieces of work in turn: A B C, C B A, A B C, in blocks of many calls each.

A slow phase of the machine affects all of them, and every other round has the reverse order, so a steady drift does not
change their ratios. Rounds end when the relative standard error of each time is small enough, or at a limit. A GPU's
block is timed between two CUDA events, which the device records when it reaches them; a CPU's block is timed by
`time.perf_counter`. All work is warm: its memory is allocated, and its data may be in a cache.
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
Name = TypeVar("Name", bound=Hashable)  # of a piece of work


class Rounds(NamedTuple):
    """The limits of a timing, for each piece of work.

    Attributes:
        most: the largest number of blocks.
        least: the smallest number of blocks, unless `most` is smaller.
        block: the shortest time of a block, in seconds; 0: a block has `calls` calls.
        calls: the fewest calls of a block.
        warmup: calls before the timing, in addition to those that find the length of a block.
        error: the relative standard error at which the timing ends.
        seconds: the time after which no further round begins, once there are `least` blocks.
    """

    most: int = 20
    least: int = 5
    block: float = 0.05
    calls: int = 1
    warmup: int = 3
    error: float = 0.01
    seconds: float = 10.0


class Timing(NamedTuple):
    """The times of one piece of work: seconds per call of each block, in the order of the rounds, and calls a block."""

    blocks: np.ndarray
    calls: int

    @property
    def seconds(self) -> float:
        return float(np.median(self.blocks))

    @property
    def seconds_se(self) -> float | None:
        return standard_error(self.blocks)

    def columns(self) -> CostRow:
        """The columns of table `cost` that this timing fills."""
        q1, median, q3 = np.quantile(self.blocks, [0.25, 0.5, 0.75]).tolist()
        found: CostRow = {"seconds": median, "seconds_se": self.seconds_se, "seconds_q1": q1, "seconds_q3": q3}
        return found | {"repetitions": len(self.blocks), "calls": self.calls}


class Clock(Protocol):
    """A function that makes `calls` calls of `work` and returns their total time in seconds."""

    def __call__(self, work: Work, calls: int) -> float: ...


def host_clock(work: Work, calls: int) -> float:
    """A clock that reads the time of the host."""
    start = time.perf_counter()
    for _ in range(calls):
        work()
    return time.perf_counter() - start


class EventClock:
    """A clock that reads the time of a GPU between two events. The device is idle when the first is recorded."""

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
    """Time all pieces of work in turn, and call `look` after every round. Returns a timing for each name."""
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
    """The calls that a block needs to last `rounds.block` seconds. Finding them also warms the work up."""
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
    """The standard error of the median of a time series `[n]`, whose values may depend on each other; None if n is 1.

    For independent values it is half the width of an interval between two order statistics, in normal units (Price and
    Bonett, 2001). The error of a median depends on the signs of the deviations from it. The autocorrelation of these
    signs, summed by Geyer's initial positive sequence (1992), corrects for dependence.
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
    """The factor, 1 or more, by which autocorrelation increases the variance of the mean of centred values `[n]`."""
    n, square = len(signs), float(signs @ signs) / len(signs)
    if not square:
        return 1.0

    def correlation(lag: int) -> float:  # 1 / n corrects for the mean, which was subtracted
        return float(signs[: n - lag] @ signs[lag:]) / (n - lag) / square + 1 / n if lag else 1.0

    total = -1.0
    for lag in range(0, n // 2, 2):
        pair = correlation(lag) + correlation(lag + 1)
        if pair <= 0:
            break
        total += 2 * pair
    return max(1.0, total)
