"""The second process of a large report: `python -m bench.report.figures.worker`, which is told by a pipe what to draw.

It ends with the first one, however that ends: its standard input is closed then.
"""

import os
import pickle
import signal
import sys
from queue import SimpleQueue
from threading import Thread
from typing import IO, NoReturn

from bench.report.figures.pipe import heard, tell


def main() -> NoReturn:
    """Draw what is asked for, until nobody asks."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is told to both, and it is the first that ends
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a figure may print is no answer
    asked: SimpleQueue[bytes] = SimpleQueue()
    Thread(target=_listen, args=(sys.stdin.buffer, asked), daemon=True).start()

    import seaborn  # noqa: F401

    from bench.garbage import seldom_searched
    from bench.report.figures.together import drawn

    with seldom_searched():
        of_all = pickle.loads(asked.get())
        while True:
            tell(answers, drawn(pickle.loads(asked.get()), *of_all))


def _listen(stream: IO[bytes], asked: "SimpleQueue[bytes]") -> None:
    try:
        while True:
            asked.put(heard(stream))
    except (EOFError, OSError):
        os._exit(0)  # in the middle of a figure too


if __name__ == "__main__":
    main()
