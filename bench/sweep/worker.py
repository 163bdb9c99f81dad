"""A process of the pool: it runs one job, sends the endings to the process of the command, and ends with it."""

import faulthandler
import os
import pickle
import signal
import sys
import threading
from collections.abc import Sequence
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
    payload: bytes,
    number: int,
    overrides: Sequence[str],
    environment: dict[str, str],
    messages: Connection,
    output: Connection,
) -> None:
    """Compose job `number` and do it. The first message is STARTED and the last ENDED; without that the job was lost.

    `payload` is of `bench.sweep.payload`; `output` takes what anything here prints.
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
    _run(payload, number, overrides)
    sys.stdout.flush()
    sys.stderr.flush()
    messages.send(ENDED)  # from here on the process may be killed


def _run(payload: bytes, number: int, overrides: Sequence[str]) -> None:
    from hydra.core.global_hydra import GlobalHydra
    from hydra.core.utils import run_job, setup_globals
    from omegaconf import open_dict

    task, context, config, GlobalHydra.instance().hydra = pickle.loads(payload)
    setup_globals()
    composed = context.config_loader.load_sweep_config(config, list(overrides))
    with open_dict(composed):
        composed.hydra.job.id = composed.hydra.job.num = number
    done = run_job(task, composed, "hydra.sweep.dir", "hydra.sweep.subdir", context)
    _ = done.return_value  # raises what the job raised


def _watch() -> None:
    """End this process when the process of the command has ended, which closes the other end of this pipe."""
    command: Any = parent_process()
    wait([command.sentinel])
    os.kill(os.getpid(), signal.SIGKILL)
