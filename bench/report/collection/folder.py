"""A report's folder changes as a whole.

All files are written into a hidden folder inside it. One rename makes that folder NEXT: from then on it is the report,
and each file goes to its place, the digests last. Whoever is killed before the rename has changed nothing. Whoever is
killed after it leaves a report in two places, which can be read, and which the next report puts together.
"""

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from bench.files import hidden
from bench.report.collection.saved import DIGESTS, KEPT, NEXT, stem
from bench.tables.columns import OF_REPORT
from bench.tables.schema import TABLES
from bench.tables.store import MARKER


@contextmanager
def rewritten(folder: Path) -> Iterator[Path]:
    """A hidden folder for all files of a report, which become the report in `folder` when the block ends well. Files of
    other names stay, and so do figures that are not drawn anew.

    Raises OSError, which names the file by its place in `folder`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _remove_leftovers(folder)
    stage = _aside(folder)
    try:
        stage.mkdir()
        yield stage
        _commit(stage, folder)
        _put_in_place(folder)
    except OSError as error:
        if not str(error.filename).startswith(str(stage)):
            raise
        raise OSError(error.errno, error.strerror, str(error.filename).replace(str(stage), str(folder))) from error
    finally:
        shutil.rmtree(stage, ignore_errors=True)


def _aside(folder: Path) -> Path:
    return hidden(folder / NEXT.removeprefix("."))


def _commit(stage: Path, folder: Path) -> None:
    """The one rename."""
    _put_in_place(folder)
    try:
        stage.rename(folder / NEXT)
    except OSError as error:  # another report was faster
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise
        _put_in_place(folder)
        stage.rename(folder / NEXT)


def _put_in_place(folder: Path) -> None:
    """What is committed goes to its place, whoever wrote it; a file that is gone has been put there by another."""
    committed = folder / NEXT
    files = sorted((f for f in committed.rglob("*") if f.is_file()), key=lambda f: (f.name == DIGESTS, f.name != KEPT))
    if (committed / KEPT).is_file() and (folder / KEPT).is_file():  # KEPT goes first: nothing is in its place yet
        for stale in _stale(folder, {file.name for file in files}):
            stale.unlink(missing_ok=True)
    for file in files:
        place = folder / file.relative_to(committed)
        place.parent.mkdir(exist_ok=True)
        with suppress(FileNotFoundError):
            os.replace(file, place)
    for directory in sorted((d for d in committed.rglob("*") if d.is_dir()), reverse=True):
        _remove_empty(directory)
    _remove_empty(committed)


def _remove_empty(directory: Path) -> None:
    with suppress(OSError):  # another has removed it, or committed the next report meanwhile
        directory.rmdir()


def _stale(folder: Path, new: set[str]) -> Iterator[Path]:
    """Tables of the former report that the new one does not replace: CSV, those that it has no rows for, and those that
    are called as a run's are."""
    for name in [*map(stem, TABLES), *OF_REPORT]:
        yield from (folder / file for file in (f"{name}.csv", f"{name}.parquet") if file not in new)
    if not (folder / MARKER).exists():  # else these are the run's own
        for name in TABLES:
            if (folder / f"{name}.parquet").is_file():
                yield from (folder / f"{name}.csv", folder / f"{name}.parquet")


def _remove_leftovers(folder: Path) -> None:
    """Remove what reports have left that were killed before their rename. It is renamed first, so that one that lives
    after all, on another machine, loses the whole of it and not a part."""
    for left in folder.glob(f"{NEXT}.*.tmp"):
        process = left.name.removeprefix(f"{NEXT}.").partition("-")[0]
        if not _alive(process):
            aside = _aside(folder)
            with suppress(OSError):
                left.rename(aside)
            shutil.rmtree(aside, ignore_errors=True)


def _alive(process: str) -> bool:
    """Whether it is the number of another process that lives here."""
    if not process.isdecimal() or int(process) == os.getpid():
        return False
    try:
        os.kill(int(process), 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:
        pass
    return True
