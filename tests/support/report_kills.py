"""`python -m tests.support.report_kills 50 --out FILE.csv`: kill `bench.report` (SIGKILL) before changes of a file or
folder that it makes, drawn at random, read what it leaves, give the same command again, and compare with one that
nobody disturbed.

The report that it overwrites is the only copy of two families, and one of them is asked for. A row of the CSV is such a
moment: whether every number of the report could be read after the kill; how the second command ended; whether its files
came out the same; what it left besides them.
"""

import argparse
import random
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench import load
from bench.report.collection.saved import DIGESTS, stem
from bench.report.command import main as report
from bench.tables.schema import OF_SOME, TABLES
from bench.tables.store import SchemaError
from tests.support.command import Command
from tests.support.kill_points import Killer
from tests.support.kills import written_down
from tests.support.synthetic_runs import SOME, collection

WORDS = ["report", "out", "--families", "vq", "--only", "final_elbo"]
BEYOND = 10**6  # more changes than there are
KINDS = ("new", "csv", "old names")  # of the report that is overwritten


def only_copy(folder: Path, kind: str) -> Path:
    """A report of two families, whose runs are gone, in `folder / "out"`."""
    out = folder / "out"
    collection(out, families=("bernoulli", "vq"), estimators=SOME[:2], seeds=(0, 1))
    assert report([str(out), "--only", "final_elbo", *["--csv"][: kind == "csv"]]) == 0
    for directory in out.iterdir():
        if directory.name != "report":
            shutil.rmtree(directory)
    if kind == "old names":
        digests = (out / "report" / DIGESTS).read_text()
        for name in TABLES.keys() - {*OF_SOME}:
            (out / "report" / f"{stem(name)}.parquet").rename(out / "report" / f"{name}.parquet")
            digests = digests.replace(f"{stem(name)}.parquet", f"{name}.parquet")
        (out / "report" / DIGESTS).write_text(digests)
    return out


def numbers(out: Path) -> Any:
    """Every number of the report's runs; a sentence where it cannot be read."""
    try:
        return [frame.to_csv() for frame in load(out)]
    except SchemaError as error:
        return str(error)


def files(out: Path) -> dict[str, bytes]:
    """All that lies below, hidden or not."""
    return {str(file.relative_to(out)): file.read_bytes() for file in out.rglob("*") if file.is_file()}


class Counter(Killer):
    """Ends nothing, and says in `left.txt` how many changes there might still be."""

    def see(self, event: str, arguments: tuple[Any, ...]) -> None:
        before = self.left
        super().see(event, arguments)
        if self.left != before:
            (self.folder / "left.txt").write_text(str(self.left))


def changes(folder: Path, template: Path, words: list[str]) -> int:
    """How many changes an undisturbed command makes in a copy of the template."""
    shutil.copytree(template, folder / "out")
    command = Command(folder, words, forked=True, first=Counter(folder, BEYOND))
    command.wait()
    if command.status:
        raise SystemExit((folder / "log.txt").read_text())
    return BEYOND - int((folder / "left.txt").read_text())


def kills(count: int, folder: Path, seed: int = 0) -> Iterator[dict[str, Any]]:
    """A row for each of so many kills, which the kinds of report share."""
    chance = random.Random(seed)
    for number, kind in enumerate(KINDS):
        place = folder / kind.replace(" ", "_")
        template = only_copy(place / "template", kind)
        words = [*WORDS, *["--csv"][: kind != "csv"]]  # so that CSV comes and goes
        total = changes(place / "undisturbed", template, words)
        original, undisturbed = numbers(template), files(place / "undisturbed" / "out")
        if numbers(place / "undisturbed" / "out") != original:
            raise SystemExit("Undisturbed, the command changes the numbers that it reads.")
        share = len(range(number, count, len(KINDS)))
        for moment in sorted(chance.sample(range(1, total + 1), min(share, total))):
            of_this = place / str(moment)
            shutil.copytree(template, of_this / "out")
            killed = Command(of_this, words, forked=True, first=Killer(of_this, moment))
            killed.wait()
            if killed.status != -signal.SIGKILL:
                raise SystemExit((of_this / "log.txt").read_text())
            readable = numbers(of_this / "out") == original
            again = Command(of_this, words, forked=True)
            again.wait()
            now = files(of_this / "out")
            same = {name: now.get(name) for name in undisturbed} == undisturbed
            row = {"overwrites": kind, "moment": moment, "of": total, "before": (of_this / "before.txt").read_text()}
            row |= {"readable": readable, "status": again.status, "identical": same}
            yield row | {"left": " ".join(sorted(now.keys() - undisturbed.keys()))}


def arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """The parsed command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.support.report_kills", description=__doc__)
    parser.add_argument("kills", type=int)
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("--out", type=Path, required=True, help="a CSV file")
    return parser.parse_args(argv)


def main() -> int:
    options = arguments()
    with tempfile.TemporaryDirectory() as folder:
        rows = written_down(kills(options.kills, Path(folder), options.seed), options.out)
    return int(any(row["status"] or not row["readable"] or not row["identical"] or row["left"] for row in rows))


if __name__ == "__main__":
    sys.exit(main())
