"""The claim of a process on a run: the file `running.json` in the run directory.

The file exists while a process works on the run, and after an interruption. It keeps two processes from computing the
same run at once, and `bench.status` reads it. A process of this machine is alive if the system says so; one of another
machine or container is alive if it wrote the file less than STALE seconds ago.
"""

import json
import os
import platform
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench.files import hidden, remove_temporaries, replace, write_exclusively
from bench.foreign import content, parsed
from bench.run.claim import About, Claim, whole
from bench.tables import store

FILE = "running.json"
RESUME = "resume.pt"  # of `bench.run.resume`
BEAT, STALE = 20.0, 90.0  # seconds between two writes of the file, and after which its process counts as dead


def read(directory: Path, name: str = FILE) -> Claim | None:
    """The claim in a run directory: that of the last attempt at the run. None if there is none, or it is damaged."""
    try:
        found = parsed(content(directory / name))
    except (OSError, ValueError):
        return None
    return found if whole(found) else None


def worker(directory: Path, name: str = FILE) -> str | None:
    """The other living process that works on the run, as text; or None."""
    found, alive = read(directory, name), False
    pid = found.get("pid") if found else None
    if found is None or pid is None or (pid == os.getpid() and _here(found)):
        return None
    if _here(found):
        alive = process(pid) == found.get("process")
    else:
        with suppress(FileNotFoundError):
            age = now(directory) - (directory / name).stat().st_mtime
            alive = abs(age) < STALE  # a time in the future counts as no sign of life
    return f"process {pid} of {found['host']}" if alive else None


def outlast(directory: Path) -> None:
    """Wait until a process of another machine has written the file again or counts as dead."""
    found, path = read(directory), directory / FILE
    if found is None or found.get("pid") is None or _here(found):
        return  # known at once
    with suppress(FileNotFoundError):
        last = path.stat().st_mtime
        while abs(now(directory) - last) < STALE and path.stat().st_mtime == last:
            time.sleep(min(1.0, STALE / 10))


@contextmanager
def claim(directory: Path, about: About, step: Callable[[], int], version: Any = None) -> Iterator[str | None]:
    """A context in which this process works on a run. Yields None, or a sentence if it must not work on it.

    After an interruption the file stays and shows that the run is unfinished.

    Args:
        directory: of the run.
        about: command, label and steps, which the file shows.
        step: returns the present step.
        version: of the run's tables when this process decided to do the run; another may have written them since.
    """
    directory.mkdir(parents=True, exist_ok=True)
    mine: Claim = {
        "host": platform.node(),
        "namespace": _namespace(),
        "pid": os.getpid(),
        "process": process(os.getpid()),
        **about,
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    path = directory / FILE
    while not write_exclusively(path, json.dumps({**mine, "step": step()}).encode()):
        if other := worker(directory) or _take_away(path):
            yield f"{other} works on it."
            return
    if store.version(directory) != version:
        path.unlink(missing_ok=True)
        yield "Another process has just ended it."
        return
    remove_temporaries(directory)
    over = threading.Event()

    def note(**change: Any) -> None:
        with suppress(OSError):  # a full disk is reported when results are written
            replace(path, json.dumps({**mine, "step": step(), **change}).encode())

    def beat() -> None:
        while not over.wait(BEAT):
            note()

    beating = threading.Thread(target=beat, daemon=True)
    beating.start()
    try:
        yield None
    except BaseException:
        over.set()
        beating.join()
        note(pid=None)
        raise
    over.set()
    beating.join()
    path.unlink(missing_ok=True)


def tidy(directory: Path) -> None:
    """Remove the files that a process leaves beside a complete run if it is killed at the very end."""
    remove_temporaries(directory)
    for name in (FILE, RESUME):
        with suppress(OSError):
            (directory / name).unlink()


def process(pid: int) -> str | None:
    """The identity of the living process with this number, since numbers are reused; None where none lives."""
    try:
        after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        if after_name[0] in "ZX":
            return None
        boot = ""
        with suppress(OSError):  # hidden in some containers
            boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {after_name[19]}"  # 19: the start, in ticks since the boot
    except OSError:
        pass
    if Path("/proc/self/stat").exists():
        return None
    try:
        os.kill(pid, 0)
    except PermissionError:
        return "alive"
    except OSError:
        return None
    return "alive"


def _take_away(path: Path) -> str | None:
    """Remove the claim of a dead process. If another process has written its own claim meanwhile, restore that, and
    return the process as text; else None."""
    aside = hidden(path)
    with suppress(FileNotFoundError):
        path.rename(aside)
        if other := worker(aside.parent, aside.name):
            write_exclusively(path, aside.read_bytes())
        aside.unlink()
        return other
    return None


def _here(found: Claim) -> bool:
    """Whether the claim's process belongs to this machine. Containers may share a host name, but no process numbers."""
    here = _namespace()
    return found["host"] == platform.node() and found.get("namespace", here) == here


def _namespace() -> str | None:
    """The namespace in which process numbers are valid; None where the system has no namespaces."""
    try:
        return os.readlink("/proc/self/ns/pid")
    except OSError:
        return None


def now(directory: Path) -> float:
    """The time by the clock of the file system, which may differ from the clock of this machine."""
    probe = hidden(directory / FILE)
    try:
        probe.touch()
        return probe.stat().st_mtime
    except OSError:
        return time.time()
    finally:
        with suppress(OSError):
            probe.unlink()
