"""Tasks for several processes, which are forked from a server with torch loaded."""

import multiprocessing
import os
import signal
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from multiprocessing import forkserver, resource_tracker
from multiprocessing.connection import Connection, wait
from typing import Any, NamedTuple

CONTEXT = multiprocessing.get_context("forkserver")
KEEP = {"MALLOC_MMAP_THRESHOLD_": str(2**30), "MALLOC_TRIM_THRESHOLD_": str(2**32)}  # bytes, for glibc
PRELOAD = ["bench.check.kit", "torch._dynamo"]  # the first step of an optimiser asks for the second


class Done(NamedTuple):
    """What a task gave, in so many seconds; `lost` says in a sentence why it gave nothing, if its process ended."""

    result: Any
    seconds: float
    lost: str = ""


class Worker:
    """A process that does one task after another."""

    def __init__(self, do: Callable[..., Any]):
        self.pipe, theirs = CONTEXT.Pipe()
        self.process = CONTEXT.Process(target=_work, args=(do, theirs), daemon=True)
        self.process.start()
        theirs.close()

    def done(self) -> Done:
        """Receive what the task gave."""
        try:
            return Done(*self.pipe.recv())
        except (EOFError, OSError):
            self.process.join()
            return Done(None, 0.0, f"Its process ended with exit status {self.process.exitcode}.")

    def end(self) -> None:
        self.pipe.close()
        self.process.kill()
        self.process.join()


def _work(do: Callable[..., Any], pipe: Connection) -> None:
    import torch

    torch.set_num_threads(1)
    while True:
        try:
            task = pipe.recv()
        except EOFError:
            return
        start = time.perf_counter()
        pipe.send((do(*task), time.perf_counter() - start))


def spread(
    do: Callable[..., Any], tasks: Sequence[tuple[Any, ...]], workers: int, order: Sequence[int] = ()
) -> Iterator[Done]:
    """What `do(*task)` gives for each task, in their order, from so many processes with one thread each.

    They begin the tasks in that order too, or in another `order`, the numbers of all tasks.

    A process that ends, as when memory is short, loses its task alone; another one takes its place.
    """
    start_server()
    team: list[Worker] = []
    at: dict[Any, tuple[Worker, int]] = {}  # pipe -> who works at which task
    found: dict[int, Done] = {}
    waiting = deque(order or range(len(tasks)))

    def give(worker: Worker) -> None:
        if waiting:
            at[worker.pipe] = worker, (number := waiting.popleft())
            worker.pipe.send(tasks[number])

    try:
        while len(team) < min(workers, len(tasks)):
            team.append(Worker(do))
            give(team[-1])
        for number in range(len(tasks)):
            while number not in found:
                for pipe in wait([*at]):
                    worker, place = at.pop(pipe)
                    found[place] = worker.done()
                    if found[place].lost and waiting:
                        team.append(worker := Worker(do))
                    give(worker)
            yield found.pop(number)
    finally:
        for worker in team:
            worker.end()


def start_server() -> None:
    """Start the server, unless it runs already. Ctrl-C reaches neither it nor the processes; they end with this one.

    They keep memory that they free: large tensors come and go, and new pages took up to a third of the time.
    """
    CONTEXT.set_forkserver_preload(PRELOAD)
    added = {name: value for name, value in KEEP.items() if name not in os.environ}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        os.environ.update(added)
        resource_tracker.ensure_running()
        forkserver.ensure_running()
    finally:
        for name in added:
            del os.environ[name]
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
