"""Whether other processes disturbed a timing: the load of the machine before, during and after it."""

import os
import resource
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple, cast

from bench import nvml
from bench.cores import cores
from bench.machine import undisturbed
from bench.tables.rows import CostRow

SHARE = 0.95  # the smallest share of the time in which the timing process must have a core
SPARE = 0.1  # cores that other processes may keep busy in addition to those that the timing does not need
PREEMPTED = 25.0  # most preemptions per second and thread: of two on two idle cores 16 to 24, beside a busy one 90
IDLE = (3, 4)  # columns of /proc/stat: idle, and waiting for a disk


class Counters(NamedTuple):
    """The counters of the system at one moment; all but `preempted` in seconds."""

    wall: float
    thread: float  # CPU time of this thread
    process: float  # CPU time of all threads of this process
    preempted: int  # how often this process had to give up a core
    machine: float | None  # CPU time of everything on the cores that this process may use; None: not known

    @classmethod
    def now(cls) -> "Counters":
        used = resource.getrusage(resource.RUSAGE_SELF)
        return cls(time.perf_counter(), time.thread_time(), time.process_time(), used.ru_nivcsw, _machine())


def _machine() -> float | None:
    ours = {f"cpu{i}" for i in os.sched_getaffinity(0)} if hasattr(os, "sched_getaffinity") else set()
    total = 0
    with suppress(OSError, ValueError, IndexError):
        for line in Path("/proc/stat").read_text().splitlines():
            name, *ticks = line.split()
            if name in ours:
                total += sum(int(t) for i, t in enumerate(ticks[:8]) if i not in IDLE)
    return total / os.sysconf("SC_CLK_TCK") if total else None  # an emulated system may count nothing


def load_by_others(start: Counters, end: Counters) -> float | None:
    """The mean number of cores that other processes kept busy between two moments; None if it is not known."""
    if start.machine is None or end.machine is None or end.wall <= start.wall:
        return None
    return max(0.0, (end.machine - start.machine - (end.process - start.process)) / (end.wall - start.wall))


class Watch:
    """A context around a timing; afterwards `columns` gives the columns of table `cost` on disturbances.

    Args:
        threads: how many the timed work may use.
        device: cpu or cuda.
        pause: seconds for which the load is measured before and after.
        now: reads the counters.
        rest: waits for a number of seconds.
    """

    def __init__(
        self,
        threads: int,
        device: str,
        pause: float,
        now: Callable[[], Counters] = Counters.now,
        rest: Callable[[float], None] = time.sleep,
    ):
        self.threads, self.device, self.pause, self.now, self.rest = threads, device, pause, now, rest

    def __enter__(self) -> "Watch":
        self.before = self._pause()
        self.states = [nvml.state(self.device)]
        self.start = self.now()
        return self

    def look(self) -> None:
        """Record clock, temperature and throttling of the GPU while it is busy."""
        self.states.append(nvml.state(self.device))

    def __exit__(self, *_: object) -> None:
        self.end = self.now()
        self.look()
        self.after = self._pause()

    def _pause(self) -> float | None:
        if not self.pause:
            return None
        start = self.now()
        self.rest(self.pause)
        return load_by_others(start, self.now())

    def columns(self) -> CostRow:
        start, end = self.start, self.end
        seconds = max(end.wall - start.wall, 1e-9)
        # On the CPU this thread takes part in all work; on a GPU another one may launch the kernels of a backward pass.
        busy = end.process - start.process if self.device == "cuda" else end.thread - start.thread
        found: dict[str, Any] = {
            "cpu_share": busy / seconds,
            "preempted": (end.preempted - start.preempted) / seconds,
        }
        loads = [self.before, load_by_others(start, end), self.after]
        found |= dict(zip(("load_before", "load", "load_after"), loads, strict=True))
        before, after = self.states[0], self.states[-1]
        found |= {f"{name}_before": before.get(name) for name in ("temperature", "sm_clock")}
        found |= {f"{name}_after": after.get(name) for name in ("temperature", "sm_clock")}
        throttled = [state["throttled"] for state in self.states if state.get("throttled") is not None]
        found["throttled"] = any(throttled) if throttled else None
        return cast(CostRow, found | {"valid": self._valid(found)})

    def _valid(self, found: dict[str, Any]) -> bool:
        spare = max(0, cores() - self.threads) + SPARE
        looks = {"load_before": self._coarse(spare), "load": spare, "load_after": self._coarse(spare)}
        quiet = all(found[name] is None or found[name] <= most for name, most in looks.items())
        undelayed = found["cpu_share"] >= SHARE and found["preempted"] <= PREEMPTED * self.threads
        return undisturbed(self.threads, self.device) and quiet and undelayed and not found["throttled"]

    def _coarse(self, spare: float) -> float:
        """The load up to which a short measurement counts as quiet: each core's time is counted in whole ticks."""
        return spare + cores() / (os.sysconf("SC_CLK_TCK") * self.pause) if self.pause else spare
