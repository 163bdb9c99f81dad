"""`python -m tests.support.kill_points --out FILE.csv [words]`: kill a command (SIGKILL) before every single change of
a file or folder that it makes, give the same command again, and compare with one that nobody disturbed.

A row of the CSV is such a moment: which change, how the second command ended, whether its tables came out the same,
save for times, and which files it left behind.
"""

import argparse
import os
import re
import signal
import sys
import tempfile
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

from tests.support.command import Command
from tests.support.kills import SWEEP, files_left, numbers, preload, written_down

WORDS = [word for word in SWEEP if not word.startswith(("-m", "seed="))]
WORDS += ["train.steps=1", "sweep.checkpoint_seconds=0", "-m"]
CHANGES = {"os.rename", "os.link", "os.remove", "os.mkdir", "os.rmdir"}
CHANCE = re.compile(r"\.\d+-[0-9a-f]{8}\.tmp$")  # in the name of a temporary file


class Killer:
    """Ends this process before the n-th change inside a folder, and says beside it which that was."""

    def __init__(self, folder: Path, n: int):
        self.folder, self.left = folder.resolve(), n

    def __call__(self) -> None:
        """From now on, until the process ends."""
        sys.addaudithook(self.see)

    def see(self, event: str, arguments: tuple[Any, ...]) -> None:
        """What Python tells before it asks the system."""
        writes = event == "open" and isinstance(arguments[1], str) and not {*"wax+"}.isdisjoint(arguments[1])
        if not (event in CHANGES or writes) or not isinstance(arguments[0], str | os.PathLike):
            return
        path = Path(arguments[0]).absolute()
        if path.is_relative_to(self.folder / "out"):
            self.left -= 1
            if not self.left:
                (self.folder / "before.txt").write_text(f"{event} {CHANCE.sub('.tmp', path.name)}")
                os.kill(os.getpid(), signal.SIGKILL)


def moments(folder: Path, words: list[str]) -> Iterator[dict[str, Any]]:
    """A row for every change that the command makes."""
    preload()
    whole = Command(folder / "undisturbed", words, forked=True)
    whole.wait()
    if whole.status:
        raise SystemExit((whole.folder / "log.txt").read_text())
    undisturbed = numbers(whole.folder)
    for n in count(1):
        place = folder / str(n)
        killed = Command(place, words, forked=True, first=Killer(place, n))
        killed.wait()
        if killed.status == 0:  # there was no n-th change
            return
        if killed.status != -signal.SIGKILL:
            raise SystemExit((place / "log.txt").read_text())
        again = Command(place, words, forked=True)
        again.wait()
        same, left = numbers(place) == undisturbed, " ".join(files_left(place))
        before = (place / "before.txt").read_text()
        yield {"moment": n, "before": before, "status": again.status, "identical": same, "left": left}


def arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """The parsed command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.support.kill_points", description=__doc__)
    parser.add_argument("words", nargs="*", help="of the command, before those that make it small")
    parser.add_argument("--out", type=Path, required=True, help="a CSV file")
    return parser.parse_args(argv)


def main() -> int:
    options = arguments()
    with tempfile.TemporaryDirectory() as folder:
        rows = written_down(moments(Path(folder), [*options.words, *WORDS]), options.out)
    return int(any(row["status"] or not row["identical"] or row["left"] for row in rows))


if __name__ == "__main__":
    sys.exit(main())
