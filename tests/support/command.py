"""A command in a session of its own, whose processes can be seen and counted."""

import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from multiprocessing import forkserver
from pathlib import Path

from bench import cli
from tests.support.packages import ROOT

GRACE = 15.0  # seconds in which a worker may notice that its parent is gone


class Command:
    """The command as a process in a session of its own: a new interpreter, or for speed a fork of this one, which does
    `first` before all else."""

    def __init__(self, folder: Path, words: list[str], *, forked: bool, first: Callable[[], None] | None = None):
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.status = folder, None
        self.pid = os.fork()
        if self.pid:
            return
        try:
            os.setsid()
            os.chdir(folder)
            log = os.open("log.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            os.dup2(log, 1)
            os.dup2(log, 2)
            if forked:
                forkserver._forkserver.__init__()  # that of the process before is no child of this one
                if first:
                    first()
                sys.argv = ["bench", *words]
                status = cli.main(words)
            else:
                os.environ["PYTHONPATH"] = str(ROOT)
                os.execv(sys.executable, [sys.executable, "-m", "bench", *words])
        except BaseException:
            traceback.print_exc()
            status = 70
        sys.stdout.flush()
        os._exit(status)

    def wait(self, seconds: float = float("inf")) -> bool:
        """Whether it ended within these seconds."""
        end = time.monotonic() + seconds
        while self.status is None and time.monotonic() < end:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            self.status = os.waitstatus_to_exitcode(status) if pid else None
            time.sleep(0.002)
        return self.status is not None

    def session(self) -> list[int]:
        """The processes that live in its session."""
        found = []
        for place in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                state, _, _, session = (place / "stat").read_text().rpartition(")")[2].split()[:4]
                found += [int(place.name)] * (int(session) == self.pid and state not in "ZX")
        return found

    def orphans(self) -> int:
        """How many processes outlive it by more than the grace; they are ended."""
        end = time.monotonic() + GRACE
        while (left := self.session()) and time.monotonic() < end:
            time.sleep(0.05)
        for pid in left:
            os.kill(pid, signal.SIGKILL)
        return len(left)
