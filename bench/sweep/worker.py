"""A process of the pool: it runs one job, sends the endings to the process of the command, and ends with it."""

import faulthandler
import os
import pickle
import signal
import sys
import threading
from multiprocessing import parent_process
from multiprocessing.connection import Connection, wait
from typing import Any

from bench.run.ending import Ending
from bench.sweep import job
from bench.sweep.bound import die_with_parent

STARTED, ENDED = "started", "ended"


class Telling(job.Session):
    """A session that hands each ending to the process of the command instead of printing it."""

    def __init__(self, messages: Connection):
        super().__init__()
        self.messages = messages

    def tell(self, number: int | None, ending: Ending) -> None:
        self.messages.send(ending)


def work(
    packed: tuple[bytes, bytes],
    environment: dict[str, str],
    messages: Connection,
    output: Connection,
) -> None:
    """Do a job. The first message is STARTED and the last ENDED; without that the job was lost.

    `packed`, by `bench.sweep.payload`: what all jobs share, and its own configuration. `output` takes what
    anything here prints.
    """
    messages.send(STARTED)
    die_with_parent()
    threading.Thread(target=_watch, daemon=True).start()
    for stream in (1, 2):
        os.dup2(output.fileno(), stream)
    faulthandler.enable()  # the stack of a crash goes to the output
    os.environ.clear()
    os.environ.update(environment)  # before CUDA reads it
    job.start(Telling(messages))
    _run(*packed)
    sys.stdout.flush()
    sys.stderr.flush()
    messages.send(ENDED)  # from here on the process may be killed


def _run(shared: bytes, own: bytes) -> None:
    from hydra.core.global_hydra import GlobalHydra
    from hydra.core.utils import run_job, setup_globals

    task, context, GlobalHydra.instance().hydra = pickle.loads(shared)
    setup_globals()
    [composed] = pickle.loads(own)
    done = run_job(task, composed, "hydra.sweep.dir", "hydra.sweep.subdir", context)
    _ = done.return_value  # raises what the job raised


def _watch() -> None:
    """End this process when the process of the command has ended, which closes the other end of this pipe."""
    command: Any = parent_process()
    wait([command.sentinel])
    os.kill(os.getpid(), signal.SIGKILL)
