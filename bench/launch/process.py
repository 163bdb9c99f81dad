"""A process of the pool, as the process of the command sees it."""

import math
import multiprocessing
import os
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from typing import Any

from bench.launch.worker import ENDED, STARTED, Told, work

PRELOAD = ["bench.launch.server", "bench.launch.preload"]
CONTEXT = multiprocessing.get_context("forkserver")


def start_server() -> None:
    """The process that all others are forked from, if it is not there yet. Ctrl-C reaches neither it nor them."""
    CONTEXT.set_forkserver_preload(PRELOAD)
    with uninterrupted():  # they inherit it
        forkserver.ensure_running()


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Ctrl-C waits: a process is either not started, or one that is known and can be ended."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class Process:
    """One job in a process of its own.

    Args:
        payload: of `bench.launch.payload`, shared by all jobs.
        number: of the job in its sweep.
        overrides: of this job.
        environment: all of it.
        time_limit: seconds until `overdue`, or None.
    """

    def __init__(
        self,
        payload: bytes,
        number: int,
        overrides: Sequence[str],
        environment: dict[str, str],
        time_limit: float | None,
    ):
        self.overrides, self.time_limit = overrides, time_limit
        self.told: list[Told] = []
        self.complete = False  # whether the job said that it had come to its end
        self.reader, writer = CONTEXT.Pipe(duplex=False)
        self.output = tempfile.TemporaryFile()  # noqa: SIM115
        output = Connection(os.dup(self.output.fileno()), readable=False)  # what multiprocessing can hand over
        self._start_clock()
        self.deadline = math.inf  # until it has started
        self.process = CONTEXT.Process(target=work, args=(payload, number, overrides, environment, writer, output))
        self.process.start()
        writer.close()
        output.close()

    def _start_clock(self) -> None:
        self.started = time.monotonic()
        self.deadline = math.inf if self.time_limit is None else self.started + self.time_limit

    def waitable(self) -> list[Any]:
        """What becomes ready when there is something to `hear`, or when the process has ended."""
        return [self.reader, self.process.sentinel]

    def hear(self) -> bool:
        """Take what the job has told; whether nothing more is to come."""
        ended = not self.process.is_alive()  # asked first: it may tell the last and end in between
        try:
            while not self.complete and self.reader.poll():
                message = self.reader.recv()
                if message == STARTED:
                    self._start_clock()
                elif message == ENDED:
                    self.complete = True
                else:
                    self.told.append(message)
        except (EOFError, OSError):  # the other end is closed
            ended = True
        return ended or self.complete or self.overdue()

    @property
    def name(self) -> str:
        """What tells this job from the others."""
        return " ".join(o for o in self.overrides if o not in sys.argv)

    def overdue(self) -> bool:
        """Whether the time limit has passed."""
        return time.monotonic() >= self.deadline

    def end(self) -> str | None:
        """End the process where it has not; where its job was not at its end, why: one sentence."""
        overdue = self.overdue() and self.process.is_alive()
        self.process.kill()
        self.process.join()
        code = self.process.exitcode
        self.process.close()
        self.reader.close()
        if self.complete:
            return None
        if overdue:
            return f"The time limit of {self.time_limit:g} s (hydra.launcher.time_limit) ended it."
        if code is not None and code < 0:
            name = signal.Signals(-code).name
            return f"Its process was killed by signal {-code} ({name}); without memory the system does so."
        return f"Its process ended with exit status {code}; traceback.txt has what it printed."

    def printed(self) -> str:
        """What the process printed."""
        self.output.seek(0)
        with self.output as file:
            return file.read().decode(errors="replace")
