"""The arguments of the commands that Hydra does not read, and data on a terminal."""

import argparse
import os
import re
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from functools import wraps
from typing import TYPE_CHECKING, Any, NoReturn, ParamSpec, TextIO

if TYPE_CHECKING:
    from rich.text import Text

P = ParamSpec("P")
PATIENCE = 1.0  # seconds without a word


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one sentence, without the usage, and ends with status 2. Options may stand anywhere."""

    def parse_args(self, args: Sequence[str] | None = None, namespace: Any = None) -> Any:  # type: ignore[override]
        return self.parse_intermixed_args(args, namespace)

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {one_sentence(message)}\n")


def one_sentence(message: str) -> str:
    """What argparse has to say, the same in every version of Python: 3.11 quotes the choices."""
    words = " ".join(message.split())
    if "(choose from " in words:
        words = re.sub(r"'([\w-]+)'(?=[,)])", r"\1", words)
    return words if words.endswith(".") else f"{words}; --help shows what is possible."


def plain(text: object) -> str:
    """Data as they are shown and never obeyed: what is no printable character, a terminal's escape among them, as its
    escape sequence in Python."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in str(text))


def cell(text: object) -> "Text":
    """Data in a table of rich, which reads markup in strings."""
    from rich.text import Text

    return Text(plain(text))


_wanted: bool | None = None  # what somebody has said of bars


def watched() -> bool:
    """Whether to show a bar: as was said, else on a terminal and in a notebook."""
    return sys.stderr.isatty() or "ipykernel" in sys.modules if _wanted is None else _wanted


@contextmanager
def bars(wanted: bool | None) -> Iterator[None]:
    """Inside, `watched` says this; None: nothing was said."""
    global _wanted
    before, _wanted = _wanted, wanted
    try:
        yield
    finally:
        _wanted = before


@contextmanager
def progress_bar(description: str, total: int, shown: bool) -> Iterator[Callable[..., None]]:
    """Yields `advance(done, doing)`, which does nothing where the bar is not shown."""
    if not shown:
        yield lambda done, doing="": None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
        TextColumn("{task.fields[doing]}", style="dim", markup=False),
    )  # fmt: skip
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(description, total=total, doing="")
        yield lambda done, doing="": bar.update(task, completed=done, doing=plain(doing))


@contextmanager
def slow_bar(description: str, total: int) -> Iterator[Callable[[int], None]]:
    """Yields `advance(done)`, which shows a bar with the rate where the whole takes longer than a second or two and
    standard error is a terminal."""
    started, shown = time.monotonic(), sys.stderr.isatty()
    with ExitStack() as stack:
        update: Callable[..., None] | None = None

        def advance(done: int) -> None:
            nonlocal update
            seconds = time.monotonic() - started
            if update is None and shown and seconds > PATIENCE and seconds * (total - done) > PATIENCE * done:
                update = stack.enter_context(progress_bar(description, total, shown=True))
            if update:
                update(done, f"{done / seconds:.0f} a second")

        yield advance


class Patient:
    """A stream that goes on without its reader: what is written after `| head` has left goes nowhere."""

    def __init__(self, stream: TextIO):
        self.stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)

    def write(self, text: str) -> int:
        """As of the stream."""
        try:
            return self.stream.write(text)
        except BrokenPipeError:
            self._alone()
            return len(text)

    def flush(self) -> None:
        """As of the stream."""
        try:
            self.stream.flush()
        except BrokenPipeError:
            self._alone()

    def _alone(self) -> None:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self.stream.fileno())
        os.close(nowhere)
        self.stream.flush()


@contextmanager
def interruptible() -> Iterator[None]:
    """Inside, SIGTERM interrupts as Ctrl-C does, unless another handler is set."""
    mine = threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    if mine:
        signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        if mine:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)


def to_its_end(main: Callable[P, int]) -> Callable[P, int]:
    """A command that ends as it would have, whether or not somebody still reads what it prints."""

    @wraps(main)
    def command(*args: P.args, **kwargs: P.kwargs) -> int:
        before = sys.stdout, sys.stderr
        nowhere = open(os.devnull, "w")  # noqa: SIM115  # in place of a stream that was closed from the start
        sys.stdout, sys.stderr = (Patient(stream or nowhere) for stream in before)
        try:
            return main(*args, **kwargs)
        finally:
            for stream in (sys.stdout, sys.stderr):
                with suppress(OSError, ValueError):
                    stream.flush()
            sys.stdout, sys.stderr = before
            nowhere.close()

    return command
