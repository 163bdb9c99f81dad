"""Timing in turn: a known time is recovered, a drift of the machine cancels, and the standard error is one."""

import math

import numpy as np
import pytest
import torch

from bench.measure.clock import EventClock, Rounds, clock_of, dependence, host_clock, interleaved, standard_error
from bench.measure.timing import compare

CPU = torch.device("cpu")


class StandIn:
    """A machine on which a call of a piece of work takes so many seconds, times what `slow` says at that time."""

    def __init__(self, slow=lambda now: 1.0, noise=0.0):
        self.now, self.slow, self.order, self.random = 0.0, slow, [], np.random.default_rng(0)
        self.noise = noise

    def work(self, name: str, seconds: float):
        def call():
            self.order.append(name)
            self.now += seconds * self.slow(self.now) * (1 + self.noise * self.random.standard_normal())

        return call

    def __call__(self, work, calls: int) -> float:
        start = self.now
        for _ in range(calls):
            work()
        return self.now - start


DRIFTS = {
    "none": lambda now: 1.0,
    "steady": lambda now: 1 + now / 20,
    "step": lambda now: 1.0 if now < 2.5 else 1.6,
    "wave": lambda now: 1 + 0.3 * math.sin(now / 3),
}
SECONDS = {"a": 2e-3, "b": 3e-3, "c": 2e-3}


@pytest.mark.parametrize("sleep", [5e-4, 2e-3, 0.2])
def test_an_injected_sleep_is_recovered(sleep):
    """Put into a noisy piece of work, on a machine that slows down, beside the same without it."""
    machine = StandIn(lambda now: 1 + now / 400, noise=0.1)
    without, asleep = machine.work("without", 1e-3), machine.work("asleep", sleep)
    found = interleaved({"with": lambda: (without(), asleep()), "without": without}, machine, Rounds())
    slower = 1 + machine.now / 800  # in the mean
    assert (found["with"].seconds - found["without"].seconds) / slower == pytest.approx(sleep, rel=0.02)


def alone(drift) -> dict[str, float]:
    """Each piece of work timed to its end before the next, as one would without turns."""
    machine = StandIn(drift)
    rounds = Rounds(most=20, least=20)
    return {n: interleaved({n: machine.work(n, s)}, machine, rounds)[n].seconds for n, s in SECONDS.items()}


@pytest.mark.parametrize("drift", DRIFTS)
def test_turns_take_a_drift_out_of_the_ratios(drift):
    machine = StandIn(DRIFTS[drift])
    works = {name: machine.work(name, seconds) for name, seconds in SECONDS.items()}
    found = interleaved(works, machine, Rounds(most=40, least=40, seconds=math.inf))
    for one in SECONDS:
        ratio = float(np.median(found[one].blocks / found["a"].blocks))
        assert ratio == pytest.approx(SECONDS[one] / SECONDS["a"], rel=0.005)
        if drift != "step":  # whose two sides may hold the medians of two pieces of work
            assert found[one].seconds / found["a"].seconds == pytest.approx(SECONDS[one] / SECONDS["a"], rel=0.02)
    if drift in ("steady", "step"):  # which the same blocks one after the other do not withstand
        assert alone(DRIFTS[drift])["c"] > 1.05 * alone(DRIFTS[drift])["a"]


def test_work_is_done_in_turn_forth_and_back():
    machine = StandIn()
    works = {name: machine.work(name, 1.0) for name in "abc"}
    looks = []
    interleaved(works, machine, Rounds(most=3, least=3, warmup=0, block=0), lambda: looks.append(len(machine.order)))
    assert "".join(machine.order) == "abccbaabc"
    assert looks == [3, 6, 9]


def test_a_block_lasts_long_enough_and_a_call_counts_once():
    machine = StandIn()
    found = interleaved({"a": machine.work("a", 1e-4), "b": machine.work("b", 1.0)}, machine, Rounds(least=5))
    assert found["a"].calls * 1e-4 >= 0.05
    assert found["b"].calls == 1
    assert found["a"].seconds == pytest.approx(1e-4)
    assert [len(timing.blocks) for timing in found.values()] == [5, 5]  # with no noise five are enough


def test_noise_is_timed_until_its_error_is_small_or_at_the_cap():
    for noise, most, enough in ((0.02, 200, True), (0.5, 10, False)):
        machine = StandIn(noise=noise)
        timing = interleaved({"a": machine.work("a", 1.0)}, machine, Rounds(most=most, seconds=1e9))["a"]
        assert (timing.seconds_se <= 0.01 * timing.seconds) is enough
        assert (len(timing.blocks) < most) is enough
    machine = StandIn(noise=0.5)
    assert len(interleaved({"a": machine.work("a", 1.0)}, machine, Rounds(most=99, seconds=12.0))["a"].blocks) < 20


def chain(random: np.random.Generator, n: int, correlation: float) -> np.ndarray:
    """`n` normal values of variance 1, each correlated with the one before."""
    values = random.standard_normal(n)
    for i in range(1, n):
        values[i] = correlation * values[i - 1] + math.sqrt(1 - correlation**2) * values[i]
    return values


@pytest.mark.parametrize(
    ("n", "correlation", "least"), [(8, 0, 0.93), (20, 0, 0.93), (20, 0.5, 0.87), (40, 0.5, 0.88), (40, 0.7, 0.83)]
)
def test_two_standard_errors_cover_the_median_also_of_blocks_that_depend_on_each_other(n, correlation, least):
    random = np.random.default_rng(1)
    covered = [abs(np.median(x)) < 2 * standard_error(x) for x in (chain(random, n, correlation) for _ in range(1000))]
    assert np.mean(covered) >= least
    if correlation >= 0.5:  # as if they were independent
        naive = [
            abs(np.median(x)) < 2 * standard_error(x) / math.sqrt(dependence(np.sign(x - np.median(x))))
            for x in (chain(random, n, correlation) for _ in range(1000))
        ]
        assert np.mean(naive) < 0.82


def test_the_standard_error_by_hand():
    assert standard_error(np.array([3.0])) is None
    assert standard_error(np.full(9, 2.0)) == 0
    # Of nine, the second and the eighth: outside them the median lies with probability 2 (1 + 9) / 2^9, z = 2.0635.
    values = np.array([1, 9, 2, 8, 3, 7, 4, 6, 5.0])
    assert standard_error(values) == pytest.approx((8 - 2) / (2 * 2.0635), rel=1e-3)
    assert dependence(np.array([1, -1, 1, -1.0])) == 1
    assert dependence(np.repeat([1.0, -1.0], 10)) > 4


def test_a_comparison_has_errors_and_quartiles(monkeypatch):
    machine = StandIn(DRIFTS["wave"], noise=0.01)
    monkeypatch.setattr("bench.measure.timing.clock_of", lambda device: machine)
    row = compare(machine.work("ours", 2e-3), machine.work("plain", 4e-3), CPU, Rounds(most=20, least=20))
    assert row["ratio"] == pytest.approx(2, rel=0.02)
    assert row["q1"] <= row["ratio"] <= row["q3"]
    assert 0 < row["ratio_se"] < 0.1 * row["reference_se"] / row["reference"] * row["ratio"]  # the wave is in both
    assert 0 < row["ours_se"] < row["ours"]


class Event:
    """A CUDA event of a device that does in one order what it is given, and reads its own clock."""

    device = 0.0

    def __init__(self, enable_timing):
        assert enable_timing

    def record(self, stream):
        self.at = Event.device

    def synchronize(self):
        pass

    def elapsed_time(self, other):
        return 1e3 * (other.at - self.at)


def test_a_gpu_is_timed_between_events_and_waited_for_once_a_block(monkeypatch):
    waits = []
    monkeypatch.setattr(torch.cuda, "Event", Event)
    monkeypatch.setattr(torch.cuda, "synchronize", waits.append)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: None)
    device = torch.device("cuda:0")
    clock = clock_of(device)
    assert isinstance(clock, EventClock)

    def product():
        Event.device += 0.25  # behind the host's back

    assert clock(product, 50) == pytest.approx(12.5)
    assert waits == [device]
    assert clock_of(CPU) is host_clock
