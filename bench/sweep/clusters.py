"""`hydra/launcher=slurm` and `ray`: Hydra's own launchers, whose jobs end in the summary like those of any sweep."""

import importlib
import logging
import os
import sys
from collections.abc import Sequence
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, ClassVar
from unittest.mock import patch

from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import OmegaConf

from bench import machine
from bench.config.sentences import first_line, needs_extra
from bench.errors import BadInput
from bench.run import failures
from bench.run.ending import Ending
from bench.sweep import already, job
from bench.sweep.lost import lost_job

if TYPE_CHECKING:
    from omegaconf import DictConfig


class Elsewhere:
    """A task for a process of another machine; it brings the command line and the environment along."""

    def __init__(self, task: TaskFunction):
        self.task, self.argv, self.environment = task, [*sys.argv], dict[str, str]()

    def __call__(self, cfg: "DictConfig") -> Any:
        sys.argv = self.argv  # column `command`
        os.environ |= self.environment
        return self.task(cfg)


class Cluster(Launcher):
    """Runs the jobs with Hydra's launcher `plugin`, which the extra `extra` installs, and with its settings."""

    extra: ClassVar[str]
    plugin: ClassVar[tuple[str, str]]  # module and class

    def __init__(self, **settings: Any):
        self.settings = {
            name: OmegaConf.create(OmegaConf.to_container(value, resolve=True)) if OmegaConf.is_config(value) else value
            for name, value in settings.items()
        }

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: "DictConfig") -> None:
        """Raises BadInput where the extra is not installed."""
        module, name = self.plugin
        try:
            plugin = getattr(importlib.import_module(module), name)
        except ImportError as error:
            raise BadInput(needs_extra(f"hydra/launcher={self.extra}", self.extra)) from error
        self.inner = plugin(**self.settings)
        self.context, self.config, self.task = hydra_context, config, Elsewhere(task_function)
        self.inner.setup(hydra_context=hydra_context, task_function=self.task, config=config)

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Run all jobs and wait. Raises JobFailed where the launcher gives up, for example at a lost job."""
        logging.getLogger("hydra_plugins").setLevel(logging.WARNING)  # else a line for each job, before it is done
        session = job.current()
        session.many = True
        try:
            returned = self.inner.launch(job_overrides, initial_job_idx)
        except Exception as error:
            raise job.JobFailed(
                f"hydra/launcher={self.extra} ended early ({type(error).__name__}: {first_line(error).rstrip('.')}); "
                "when its other jobs have ended, the same command runs what is missing."
            ) from error
        return [self._ended(session, number, one) for number, one in enumerate(returned, 1)]

    def _ended(self, session: job.Session, number: int, returned: JobReturn) -> JobReturn:
        found = returned._return_value  # its property raises
        if isinstance(found, job.JobFailed):
            found = found.endings
        if isinstance(found, Exception):
            label = " ".join(job.changed(returned.overrides or ()))
            found = [Ending("failed", failures.explain(found), label=label)]
        session.endings += found
        for ending in found:
            if ending.reason:
                print(f"{f'{number} {ending.label}'.rstrip()}: {ending.status}: {ending.reason}")
        return already.returned(returned.overrides or (), found)

    def _lost(self, overrides: Sequence[str], reason: str, printed: str) -> JobReturn:
        """The result of a job that ended without sending one."""
        lost = lost_job(self.task.task, self.context, self.config, overrides, reason, printed)
        return already.returned(overrides, lost)


class Slurm(Cluster):
    """An array of Slurm, by submitit."""

    extra = "slurm"
    plugin = ("hydra_plugins.hydra_submitit_launcher.submitit_launcher", "SlurmLauncher")

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Run all jobs and wait. A lost job is a failed run: submitit would raise, and forget the others."""
        core, utils = (importlib.import_module(f"submitit.core.{name}") for name in ("core", "utils"))
        of, waiting = core.Job.results, iter(job_overrides)

        def results(asked: Any) -> list[Any]:
            overrides = next(waiting)
            try:
                return of(asked)
            except (utils.UncompletedJobError, utils.FailedJobError) as error:
                reason = f"Its job {asked.job_id} ended without a result, in state {asked.state}."
                return [self._lost(overrides, reason, str(error))]

        with patch.object(core.Job, "results", results):
            return super().launch(job_overrides, initial_job_idx)


class SlurmLocal(Slurm):
    """The same on this machine, all jobs at once: to try it."""

    plugin = ("hydra_plugins.hydra_submitit_launcher.submitit_launcher", "LocalLauncher")

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """As for Slurm; the jobs are told how many of them run at once."""
        self.task.environment = machine.told(len(job_overrides), len(job_overrides))
        return super().launch(job_overrides, initial_job_idx)


class Ray(Cluster):
    """Tasks of Ray: on this machine, or on the cluster at `ray.init.address`."""

    extra = "ray"
    plugin = ("hydra_plugins.hydra_ray_launcher.ray_launcher", "RayLauncher")

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Run all jobs and wait. A lost job is a failed run: Ray would end the others with this process."""
        ray, core = importlib.import_module("ray"), importlib.import_module("hydra_plugins.hydra_ray_launcher._core")
        waiting = iter(job_overrides)

        def result(task: Any) -> JobReturn:
            overrides = next(waiting)
            try:
                return ray.get(task)
            except ray.exceptions.RayError as error:
                return self._lost(overrides, f"{type(error).__name__}: {first_line(error)}", str(error))

        setattr(core, "ray", SimpleNamespace(get=result))  # noqa: B010  # it has nothing else of ray
        return super().launch(job_overrides, initial_job_idx)
