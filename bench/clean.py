"""`python -m bench.clean DIR...`: what no report counts any more, and with `--yes` removes it.

That is: another copy of a run, of which a later one counts; a failed run that was fixed under another key; what an
interrupted run left, which the same command could still continue; temporary files of processes that were killed.
"""

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from bench.report.collection.fixed import fixed
from bench.run import attempt
from bench.status import find
from bench.tables import store
from bench.tables.schema import TABLES
from bench.terminal import Parser, to_its_end

OURS = (store.MARKER, *(f"{name}.parquet" for name in TABLES), "images.npz", attempt.FILE, attempt.RESUME,
        "traceback.txt", "model_step_*.pt", ".*.tmp")  # fmt: skip


class Leftover(NamedTuple):
    """A run directory, or a folder with temporary files, that may go."""

    directory: Path
    why: str
    names: tuple[str, ...] = OURS  # patterns of the files that go


@to_its_end
def main(argv: Sequence[str] | None = None) -> int:
    """Exit status: 0, or 2 where there is nothing to look at."""
    parser = Parser(prog="python -m bench.clean", description=(__doc__ or "").partition(": ")[2].partition("\n")[0])
    parser.add_argument("directories", nargs="+", type=Path, metavar="DIR", help="searched for runs, recursively")
    parser.add_argument("--yes", action="store_true", help="remove what is listed without it")
    options = parser.parse_args(argv)
    for directory in options.directories:
        if not directory.is_dir():
            print(f"python -m bench.clean: there is no directory {directory}.", file=sys.stderr)
            return 2
    found = list(leftovers(options.directories))
    for leftover in found:
        size = sum(file.stat().st_size for file in files(leftover))
        print(f"{leftover.directory}: {leftover.why}; {size / 2**20:.1f} MiB")
        if options.yes:
            remove(leftover)
    what = "removed" if options.yes else "to be removed by --yes"
    print(f"{len(found)} {what}." if found else "There is nothing to remove.")
    return 0


def leftovers(directories: Sequence[Path]) -> Iterator[Leftover]:
    """What may go below these, each once. Nothing that a living process works on."""
    rows = {}
    for directory in dict.fromkeys(run for place in directories for _, runs, _ in find(place) for run in runs):
        if attempt.worker(directory):
            continue
        try:
            rows[directory] = store.read_one(directory, "runs").to_pylist()[0]
        except store.SchemaError:
            if not (directory / store.MARKER).is_file():
                yield Leftover(directory, "interrupted; the same command would continue it")
            continue
        if (temporaries := Leftover(directory, "temporary files of a killed process", (".*.tmp",))) and files(
            temporaries
        ):
            yield temporaries
    best: dict[str, Path] = {}
    for directory, row in rows.items():
        there = best.get(row["run"])
        if there is None or _rank(row) > _rank(rows[there]):
            best[row["run"]] = directory
    kept = {directory: row for directory, row in rows.items() if best[row["run"]] == directory}
    for directory, row in rows.items():
        if directory not in kept:
            yield Leftover(directory, f"another copy of {best[row['run']]}, which counts")
    by_run = {row["run"]: directory for directory, row in kept.items()}
    for run, other in fixed(list(kept.values())).items():
        yield Leftover(by_run[run], f"failed, and fixed as {by_run[other]}")


def files(leftover: Leftover) -> list[Path]:
    """The files that go; no other is touched."""
    found = {file for name in leftover.names for file in leftover.directory.glob(name)}
    return sorted(file for file in found if file.is_file() or file.is_symlink())


def remove(leftover: Leftover) -> None:
    """Remove the files, the marker first, and the folder where nothing else is in it."""
    for file in sorted(files(leftover), key=lambda file: file.name != store.MARKER):
        file.unlink(missing_ok=True)
    with suppress(OSError):
        leftover.directory.rmdir()


def _rank(row: Mapping[str, Any]) -> tuple[bool, str]:
    """As of the report: of two copies, the later that ended well."""
    return row["status"] == "done", row["started"] or ""


if __name__ == "__main__":
    sys.exit(main())
