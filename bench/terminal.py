"""The arguments of the commands that Hydra does not read."""

import argparse
import re
from contextlib import contextmanager
from typing import NoReturn


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one sentence, without the usage, and ends with status 2."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {one_sentence(message)}\n")


def one_sentence(message: str) -> str:
    """What argparse has to say, the same in every version of Python: 3.11 quotes the choices."""
    words = " ".join(message.split())
    if "(choose from " in words:
        words = re.sub(r"'([\w-]+)'(?=[,)])", r"\1", words)
    return words if words.endswith(".") else f"{words}; --help shows what is possible."


@contextmanager
def progress_bar(description: str, total: int, shown: bool):
    """Yields `advance(done, doing)`, which does nothing where the bar is not shown."""
    if not shown:
        yield lambda done, doing="": None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
        TextColumn("[dim]{task.fields[doing]}"),
    )  # fmt: skip
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(description, total=total, doing="")
        yield lambda done, doing="": bar.update(task, completed=done, doing=doing)
