"""The two clocks of a run: wall-clock time of all its attempts, and seconds of training without the stops."""

import time
from datetime import UTC, datetime

import torch

from bench import machine


class WallClock:
    """Seconds since the run began, including those of the attempts that it continues."""

    def __init__(self) -> None:
        self.started = datetime.now(UTC).isoformat(timespec="seconds")
        self._earlier, self._start = 0.0, time.perf_counter()

    def seconds(self) -> float:
        """Seconds of this attempt and of the attempts before it."""
        return self._earlier + time.perf_counter() - self._start

    def go_on(self, started: str, seconds: float) -> None:
        """Continue the clock of an earlier attempt: when it started, and how long it took."""
        self.started, self._earlier = started, seconds


class TrainingClock:
    """A context around every training step.

    A GPU works asynchronously, so a step costs the host only the time to launch it. `settle` waits for the device and
    counts the wait. It belongs where the host waits anyway: before it reads the losses, before a stop and before the
    state is written. Called after every step, it would slow down the training that it times.
    """

    def __init__(self, device: torch.device):
        self.device, self.seconds = device, 0.0
        self._start, self._waiting = 0.0, False

    def __enter__(self) -> None:
        self._start = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        self.seconds += time.perf_counter() - self._start
        self._waiting = True

    def settle(self) -> None:
        """Wait until the device has finished its steps; afterwards `seconds` holds the training time so far."""
        if self._waiting:
            with self:
                machine.wait(self.device)
            self._waiting = False
