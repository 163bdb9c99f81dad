"""Who works on a run: the file `running.json` in its directory, while it lasts and after an interruption.

It keeps two processes from computing the same run at once, and tells `bench.status` what is under way. A process of
this machine is alive if the system says so, one of another machine or container if it wrote less than STALE
seconds ago.
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
BEAT, STALE = 20.0, 90.0  # seconds between two signs of life, and without one


def read(directory: Path, name: str = FILE) -> Claim | None:
    """The last attempt at this run, or None."""
    try:
        found = parsed(content(directory / name))
    except (OSError, ValueError):
        return None
    return found if whole(found) else None


def worker(directory: Path, name: str = FILE) -> str | None:
    """The other living process that works on the run, in words; or None."""
    found, alive = read(directory, name), False
    pid = found.get("pid") if found else None
    if found is None or pid is None or (pid == os.getpid() and _here(found)):
        return None
    if _here(found):
        alive = process(pid) == found.get("process")
    else:
        with suppress(FileNotFoundError):
            age = now(directory) - (directory / name).stat().st_mtime
            alive = abs(age) < STALE  # a sign of life from the future is as bad as none
    return f"process {pid} of {found['host']}" if alive else None


def outlast(directory: Path) -> None:
    """Wait for a process of another machine until it gives a sign of life, or counts as dead."""
    found, path = read(directory), directory / FILE
    if found is None or found.get("pid") is None or _here(found):
        return  # known at once
    with suppress(FileNotFoundError):
        last = path.stat().st_mtime
        while abs(now(directory) - last) < STALE and path.stat().st_mtime == last:
            time.sleep(min(1.0, STALE / 10))


@contextmanager
def claim(directory: Path, about: About, step: Callable[[], int], version: Any = None) -> Iterator[str | None]:
    """Work on a run. Yields None, or a sentence: why nothing is to be done.

    An interruption leaves the file, so that the run is seen to be unfinished.

    Args:
        directory: of the run.
        about: command, label and steps, for whoever reads the file.
        step: says how far the work is.
        version: that of its tables when they were found wanting; another process may have written them since.
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
        with suppress(OSError):  # a full disk is told where results are written
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
    """Remove what a process that was killed at the very end left beside a complete run."""
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
    """Remove the claim of a dead process, or None; another may have put its own there since it was seen to be dead,
    which goes back: that process, in words."""
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
