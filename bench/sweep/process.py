"""A process of the pool, as the process of the command sees it."""

import math
import multiprocessing
import os
import signal
import tempfile
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from multiprocessing import forkserver, resource_tracker
from multiprocessing.connection import Connection
from typing import Any

from bench.run.ending import Ending
from bench.sweep.worker import ENDED, STARTED, work

PRELOAD = ["bench.sweep.server", "bench.sweep.preload"]
CONTEXT = multiprocessing.get_context("forkserver")


def start_server() -> None:
    """Start the process that all others are forked from, unless it runs already. Ctrl-C reaches neither it nor them."""
    CONTEXT.set_forkserver_preload(PRELOAD)
    resource_tracker.ensure_running()  # else the server starts it, which lets Ctrl-C through again
    with waiting(signal.SIGINT):  # they inherit it
        forkserver.ensure_running()


@contextmanager
def waiting(*signals: signal.Signals) -> Iterator[None]:
    """Inside, these signals are held back until the end."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def uninterrupted() -> AbstractContextManager[None]:
    """Inside, interruptions wait, so that every process that was started is known and can be ended."""
    return waiting(signal.SIGINT, signal.SIGTERM)


class Process:
    """One job in a process of its own.

    Args:
        job: what all jobs share, and its own configuration, both of `bench.sweep.payload`.
        overrides: of this job.
        environment: all of it.
        time_limit: seconds until `overdue`, or None.
    """

    def __init__(
        self,
        job: tuple[bytes, bytes],
        overrides: Sequence[str],
        environment: dict[str, str],
        time_limit: float | None,
    ):
        self.overrides, self.time_limit = overrides, time_limit
        self.endings: list[Ending] = []
        self.complete = False  # whether the job said that it had come to its end
        self.reader, writer = CONTEXT.Pipe(duplex=False)
        self.output = tempfile.TemporaryFile()  # noqa: SIM115
        output = Connection(os.dup(self.output.fileno()), readable=False)  # what multiprocessing can hand over
        self._start_clock()
        self.deadline = math.inf  # until it has started
        self.process = CONTEXT.Process(target=work, args=(job, environment, writer, output))
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
        """Receive the job's messages; returns whether no more will come."""
        ended = not self.process.is_alive()  # asked first: it may tell the last and end in between
        try:
            while not self.complete and self.reader.poll():
                message = self.reader.recv()
                if message == STARTED:
                    self._start_clock()
                elif message == ENDED:
                    self.complete = True
                else:
                    self.endings.append(message)
        except (EOFError, OSError):  # the other end is closed
            ended = True
        return ended or self.complete or self.overdue()

    def overdue(self) -> bool:
        """Whether the time limit has passed."""
        return time.monotonic() >= self.deadline

    def end(self) -> str | None:
        """End the process. Returns None where its job was complete, else one sentence with the reason."""
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

    def interrupt(self) -> None:
        """Ask the run to save its state and end."""
        if self.process.is_alive():
            self.process.terminate()

    def printed(self) -> str:
        """What the process printed."""
        self.output.seek(0)
        with self.output as file:
            return file.read().decode(errors="replace")


def interrupt(processes: Collection[Process], grace: float = 5.0) -> None:
    """Interrupt all, and end those that take longer than `grace` seconds."""
    for process in processes:
        process.interrupt()
    end = time.monotonic() + grace
    for process in processes:
        process.process.join(max(0.0, end - time.monotonic()))
        process.end()
