"""`hydra/launcher=pool`: every job in a process of its own, several at once, forked from a server with torch loaded."""

import math
import os
import sys
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import wait
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.global_hydra import GlobalHydra
from hydra.core.utils import JobReturn, setup_globals
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import OmegaConf, open_dict

from bench import machine
from bench.errors import BadInput
from bench.run.ending import Ending, line
from bench.sweep import already, job
from bench.sweep.lost import lost_job
from bench.sweep.payload import packed
from bench.sweep.process import Process, interrupt, start_server, uninterrupted
from bench.sweep.serial import PLACE
from bench.sweep.slots import slots
from bench.terminal import interruptible

if TYPE_CHECKING:
    from omegaconf import DictConfig


@dataclass
class PoolConf:
    """The group `hydra.launcher` of the pool.

    Attributes:
        n_jobs: jobs at once; null: as many as the cores hold with `threads` each.
        time_limit: seconds after which a job is ended and its run recorded as failed; null: none.
        gpus: how many GPUs, or a list of them, of which a job sees one; null: all that are visible, where the jobs use
            them and `n_jobs` is null; with it every job sees all.
        gpu_share: jobs at once on one GPU.
    """

    _target_: str = f"{PLACE}.Pool"
    n_jobs: int | None = None
    time_limit: float | None = None
    gpus: Any = None
    gpu_share: int = 1


class Pool(Launcher):
    """Hydra's launcher: one process a job, never more at once than there are slots.

    A job that is killed, crashes or exceeds the time limit is a failed run with its reason, and the others go on.
    """

    def __init__(self, n_jobs: int | None, time_limit: float | None, gpus: Any, gpu_share: int):
        self.n_jobs, self.time_limit, self.gpu_share = n_jobs, time_limit, gpu_share
        self.gpus = OmegaConf.to_container(gpus) if OmegaConf.is_config(gpus) else gpus

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: "DictConfig") -> None:
        """Raises BadInput where a setting is not possible."""
        self.context, self.task, self.config = hydra_context, task_function, config
        threads = config.threads if isinstance(config.threads, int) and config.threads > 0 else 1
        self.slots = slots(self.n_jobs, self.gpus, self.gpu_share, threads, str(config.device))
        if self.time_limit is not None and not self.time_limit > 0:
            raise BadInput(f"hydra.launcher.time_limit needs seconds, above 0, or null; got {self.time_limit:g}.")
        start_server()  # which imports while the sweeper composes all jobs

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Run all jobs; their endings are also in the session of this process."""
        setup_globals()
        Path(str(self.config.hydra.sweep.dir)).mkdir(parents=True, exist_ok=True)
        self.session, self.total = job.current(), len(job_overrides)
        self.session.many = True
        self.free = self.slots[: self.total]
        self.at_once = len(self.free)
        told = machine.told(self.at_once, self.at_once if self.slots[0] is None else self.gpu_share)
        self.environment = {**os.environ, **told}
        self.payload = packed(self.task, self.context, GlobalHydra.instance().hydra)
        self.running: dict[Process, tuple[int, str | None]] = {}  # with the number of its job, and its slot
        self.returned: dict[int, JobReturn] = {}  # by the number of the job
        self.worked: list[float] = []  # seconds of the jobs that were not there already
        with interruptible():
            try:
                self._all(deque(enumerate(job_overrides, initial_job_idx)))
            finally:
                with uninterrupted():
                    interrupt(self.running)
        return [self.returned[number] for number in sorted(self.returned)]  # a sweeper may go by their order

    def _all(self, waiting: "deque[tuple[int, Sequence[str]]]") -> None:
        fail_fast = self.config.sweep.fail_fast is True
        while waiting or self.running:
            if fail_fast and waiting and self.session.failed():
                print(f"sweep.fail_fast=true: a run failed, and {len(waiting)} jobs were not started.", file=sys.stderr)
                waiting.clear()
            if waiting and self.free:
                self._next(*waiting.popleft())
                continue
            next_limit = min((process.deadline for process in self.running), default=time.monotonic())
            things = [thing for process in self.running for thing in process.waitable()]
            wait(things, None if next_limit == math.inf else max(0.0, next_limit - time.monotonic()))
            for process in [*self.running]:
                if process.hear():
                    self.finish(process)

    def _next(self, number: int, overrides: Sequence[str]) -> None:
        """Start a job, unless its runs are there."""
        if endings := already.endings(self.session, self.context, overrides):
            self._tell(number, overrides, endings)
            return
        composed = self.context.config_loader.load_sweep_config(self.config, list(overrides))
        with open_dict(composed):
            composed.hydra.job.id = composed.hydra.job.num = number
        own = packed(composed)
        slot = self.free.pop(0)
        visible = {} if slot is None else {"CUDA_VISIBLE_DEVICES": slot}
        with uninterrupted():
            process = Process((self.payload, own), overrides, self.environment | visible, self.time_limit)
            self.running[process] = number, slot

    def finish(self, process: Process) -> None:
        """Report how a job ended, and write the rows of a lost one."""
        with uninterrupted():
            reason, printed = process.end(), process.printed()
            number, slot = self.running.pop(process)
            self.free.append(slot)
        endings, seconds = process.endings, time.monotonic() - process.started
        if reason:
            lost = lost_job(self.task, self.context, self.config, process.overrides, reason, printed)
            known = [ending.directory for ending in endings]
            endings += [ending._replace(seconds=seconds) for ending in lost if ending.directory not in known]
        elif printed:
            print(printed, end="", file=sys.stderr)
        if not all(ending.already for ending in endings):
            self.worked.append(seconds)
        self._tell(number, process.overrides, endings)

    def _tell(self, number: int, overrides: Sequence[str], endings: list[Ending]) -> None:
        self.session.endings += endings
        self.returned[number] = already.returned(overrides, endings)
        for i, ending in enumerate(endings, 1):
            label = f"{len(self.returned)}/{self.total} {ending.label}".rstrip()
            print(line(label, ending) + (self._left() if i == len(endings) else ""), flush=True)

    def _left(self) -> str:
        """When the sweep is expected to end."""
        jobs = self.total - len(self.returned)
        if not jobs or not self.worked:
            return ""
        seconds = sum(self.worked) / len(self.worked) * math.ceil(jobs / self.at_once)
        return f"; about {duration(seconds)} left"


def duration(seconds: float) -> str:
    """`40 s`, `3 min`, `2.5 h`."""
    if seconds < 60:
        return f"{max(1, round(seconds))} s"
    return f"{round(seconds / 60)} min" if seconds < 3600 else f"{seconds / 3600:.1f} h"
