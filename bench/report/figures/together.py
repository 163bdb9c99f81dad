"""The figures of a large report, drawn by two processes: one takes them from the front, the other from the back.

The second process starts before the runs are read, so that it is ready when they are. It takes seconds to start, which
a small report is done in; and it is of no use on one core. Whatever becomes of it, this process draws what it does not.
"""

import os
import pickle
import subprocess
import sys
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from threading import Thread
from typing import TYPE_CHECKING, Any, NamedTuple

from bench.cores import cores
from bench.report.figures.catalogue import rendered
from bench.report.figures.pipe import heard, tell

if TYPE_CHECKING:
    from bench.report.collection.collect import Collection
    from bench.report.figures.style import Looks

WORKER = ["-m", "bench.report.figures.worker"]
MANY, SEVERAL = 200, 4  # runs, and figures, of a report that takes longer than a second process takes to start
PATIENCE = 60.0  # seconds for which the last figure of the second process is waited for


Warned = tuple[str, type[Warning], str, int]  # words, category, file and line


class Drawn(NamedTuple):
    """What `catalogue.rendered` gives, and the warnings of drawing it."""

    files: dict[str, bytes] | str
    warned: list[Warned]


def drawn(name: str, collection: "Collection", looks: "Looks", part: str) -> Drawn:
    """The warnings are kept for whoever tells them in the order of the figures."""
    with warnings.catch_warnings(record=True) as found:
        files = rendered(name, collection, looks, part)
    return Drawn(files, [(str(w.message), w.category, w.filename, w.lineno) for w in found])


class Second:
    """The second process. Raises OSError where none can be started."""

    def __init__(self) -> None:
        options = [word for option in sys.warnoptions for word in ("-W", option)]
        places = os.pathsep.join(place or os.getcwd() for place in sys.path)  # it imports what this process does
        self.process = subprocess.Popen(
            [sys.executable, "-P", *options, *WORKER],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            env=os.environ | {"PYTHONPATH": places},
        )  # fmt: skip
        self.thread: Thread | None = None

    def begin(self, waiting: deque[str], found: dict[str, Drawn], *of_all: Any) -> None:
        """Take figures from the back until none waits; one that is not drawn is put back."""
        self.thread = Thread(target=self._take, args=(waiting, found, of_all), daemon=True)
        self.thread.start()

    def _take(self, waiting: deque[str], found: dict[str, Drawn], of_all: tuple[Any, ...]) -> None:
        stdin, stdout = self.process.stdin, self.process.stdout
        assert stdin
        assert stdout
        with suppress(Exception):  # this process can do without the other
            tell(stdin, of_all)
            while waiting:
                name = waiting.pop()
                try:
                    tell(stdin, name)
                    found[name] = Drawn(*pickle.loads(heard(stdout)))
                except Exception:
                    waiting.append(name)
                    raise

    def finish(self) -> None:
        """Wait for the figure that it draws, but not for ever."""
        if self.thread:
            self.thread.join(PATIENCE)
        self.end()

    def end(self) -> None:
        """End the process, in the middle of a figure too."""
        self.process.kill()
        self.process.wait()
        if self.thread:
            self.thread.join()  # its pipe has ended
        for stream in (self.process.stdin, self.process.stdout):
            with suppress(OSError):
                stream.close()  # type: ignore[union-attr]


@contextmanager
def second(runs: int, asked: Sequence[Any] | None) -> Iterator[Second | None]:
    """The second process where it is worth while, by how many runs are to be read and which figures are asked for; None
    where it is not, or cannot be had. It ends with the block."""
    process = None
    if runs >= MANY and cores() > 1 and (asked is None or len(asked) >= SEVERAL):
        with suppress(OSError):
            process = Second()
    try:
        yield process
    finally:
        if process:
            process.end()


class Figures:
    """What `catalogue.rendered` says of each figure that is asked for. The other process, if there is one, begins at
    once."""

    def __init__(self, asked: Sequence[str], collection: "Collection", looks: "Looks", part: str, other: Second | None):
        self.asked, self.of_all, self.other = asked, (collection, looks, part), other
        self.waiting, self.found = deque(asked), dict[str, Drawn]()
        if other:
            other.begin(self.waiting, self.found, *self.of_all)

    def drawn(self, advance: Callable[[int, str], None]) -> dict[str, dict[str, bytes] | str]:
        """Draw those that the other process does not; all of them in their order. Their warnings come in the same
        order, each once."""
        while len(self.found) < len(self.asked):
            try:
                name = self.waiting.popleft()
            except IndexError:
                assert self.other
                self.other.finish()  # what it has not drawn waits again
                continue
            advance(len(self.found), name)
            self.found[name] = drawn(name, *self.of_all)
        told: dict[Any, Any] = {}
        for name in self.asked:
            for words, category, file, line in self.found[name].warned:
                warnings.warn_explicit(words, category, file, line, registry=told)
        return {name: self.found[name].files for name in self.asked}
