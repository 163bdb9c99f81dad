"""Files that are written whole or not at all, and where the files of the suite lie."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]  # the folder that holds this package
CONF = next(folder for folder in (ROOT / "bench" / "conf", ROOT / "conf") if folder.is_dir())  # in a wheel; in the tree


def replace(path: Path, content: bytes) -> None:
    """Write beside `path` under a hidden name, flush to the disk, rename into place: whole or not at all.

    Raises OSError, which names the file also where the disk is full.
    """
    with written(path, content) as temporary:
        os.replace(temporary, path)


def remove_temporaries(directory: Path, name: str = "*") -> None:
    """Remove what processes left in this folder that were killed while writing a file of this name. Nobody may be
    writing one there."""
    for file in directory.glob(f".{name}.*.tmp"):
        with suppress(OSError):
            file.unlink()


def write_exclusively(path: Path, content: bytes) -> bool:
    """Write a file that is not there yet, whole or not at all; False where it is there, whoever was first."""
    with written(path, content) as temporary:
        try:
            os.link(temporary, path)
        except (FileExistsError, FileNotFoundError):  # or whoever was first has removed the temporary file
            return False
        except OSError:  # a file system without hard links, where two may both be first
            if path.exists():
                return False
            os.replace(temporary, path)
    return True


def hidden(path: Path) -> Path:
    """A hidden name that no other process uses, which `remove_temporaries` knows."""
    return path.with_name(f".{path.name}.{os.getpid()}-{os.urandom(4).hex()}.tmp")


@contextmanager
def written(path: Path, content: bytes) -> Iterator[Path]:
    """A hidden file with this content, flushed to the disk, for as long as nobody has renamed it."""
    temporary = hidden(path)
    try:
        try:
            with open(temporary, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(path)) from error
        yield temporary
    finally:
        with suppress(OSError):  # below a file, where the first error names the path that was asked for
            temporary.unlink(missing_ok=True)
