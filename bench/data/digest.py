"""Which images a file of one's own holds: the digest of its bytes, without reading it as images."""

import hashlib
from functools import lru_cache
from pathlib import Path

from bench.errors import BadInput

SUFFIXES = (".npz", ".npy", ".pt")


def pictures(folder: Path) -> list[Path]:
    """Every PNG below the folder, in the order of their names; hidden ones are of the file system."""
    found = [path for path in folder.rglob("*") if path.suffix.lower() == ".png" and path.is_file()]
    shown = [path for path in found if not any(part.startswith(".") for part in path.relative_to(folder).parts)]
    return sorted(shown, key=lambda path: path.relative_to(folder).as_posix())


def files(path: Path) -> list[Path]:
    """The file itself, or the pictures of the folder. BadInput where it is neither."""
    if path.is_dir():
        if found := pictures(path):
            return found
        raise BadInput(f"data.path={path} is a folder without a PNG.")
    if not path.is_file():
        raise BadInput(f"data.path={path} does not exist; give a file {', '.join(SUFFIXES)}, or a folder of PNGs.")
    if path.suffix.lower() not in SUFFIXES:
        raise BadInput(f"data.path={path} is not a file {', '.join(SUFFIXES)}, or a folder of PNGs.")
    return [path]


def digest(path: Path) -> str:
    """SHA-256 of the file, or of the names and the contents of all pictures. BadInput where there is none."""
    stats = tuple((file, (held := file.stat()).st_size, held.st_mtime_ns) for file in files(path))
    return _digest(path, stats)


@lru_cache(64)  # a sweep asks for each of its jobs
def _digest(path: Path, stats: tuple[tuple[Path, int, int], ...]) -> str:
    content = Content(path)
    for file, _, _ in stats:
        content.read(file)
    return content.digest()


class Content:
    """Reads the files behind a path one after another, and keeps their digest."""

    def __init__(self, path: Path):
        self.path, self.hash = path, hashlib.sha256()

    def read(self, file: Path) -> bytes:
        """The bytes of the next file. BadInput where they cannot be read."""
        try:
            raw = file.read_bytes()
        except OSError as error:
            raise BadInput(f"{file} cannot be read: {error.strerror}.") from error
        if file == self.path:
            self.hash.update(raw)
        else:
            name = file.relative_to(self.path).as_posix()
            self.hash.update(f"{name}\0{hashlib.sha256(raw).hexdigest()}\n".encode(errors="surrogateescape"))
        return raw

    def digest(self) -> str:
        """Of all that was read."""
        return self.hash.hexdigest()
