"""One job of Hydra: from a composed configuration to the endings of its runs."""

import math
import os
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from bench.config.prepare import prepare
from bench.config.written import values
from bench.errors import BadInput, Impossible
from bench.run.ending import Ending, line
from bench.run.failures import explain
from bench.settings import Described
from bench.settings.groups import SweepGroup
from bench.tables.result import result_of

if TYPE_CHECKING:
    from types import TracebackType

    from omegaconf import DictConfig


class Planned(NamedTuple):
    """What the plan knows of a job: where its runs lie, the seed of the first, and the keys that say whether a run that
    is there counts."""

    folder: Path
    runs: tuple[str, ...]
    seed: int
    sweep: SweepGroup
    targets: dict[str, str]  # group -> the `_target_` of its option, of those that are classes
    reference: str

    def config(self) -> Described:
        """As much of it as says which code its runs depend on."""
        classes = {group: {"_target_": target} for group, target in self.targets.items()}
        return cast(Described, {**classes, "measure": {"reference": self.reference}})


class Session:
    """The endings of the jobs of this process, kept for the end of the command."""

    def __init__(self) -> None:
        self.process = os.getpid()
        self.total = 0  # jobs of the sweep, by its plan; 0: no sweep
        self.planned: dict[tuple[str, ...], Planned] = {}  # by the overrides of a job
        self.many = False
        self.endings: list[Ending] = []
        self.error: Exception | None = None

    def expect(self, jobs: int) -> None:
        """Add to the number of planned jobs."""
        self.total += jobs

    def failed(self) -> bool:
        """Whether a run has."""
        return any(ending.status == "failed" for ending in self.endings)

    def tell(self, number: int | None, ending: Ending) -> None:
        """Print the line of one ending; `number` is that of the job in its sweep."""
        of = f"/{self.total}" if self.total else ""
        print(line(ending.label if number is None else f"{number}{of} {ending.label}".rstrip(), ending), flush=True)


class Endings(list[Ending]):
    """The endings of a job. A sweeper that maximises what a job returns, as Optuna's does, takes them for a number."""

    def __float__(self) -> float:
        """The bound of the first run on the validation split, at the last step (nats); minus infinity without one."""
        directory = self[0].directory if self else None
        if directory is None or self[0].status != "done":
            return -math.inf
        bound = result_of(directory, "validation").bound
        return bound if math.isfinite(bound) else -math.inf


class JobFailed(BadInput):
    """A job failed in a process of a launcher: raised there, so that Hydra tells the process of the command."""

    def __init__(self, message: str, endings: Sequence[Ending] = ()):
        super().__init__(message)
        self.endings = list(endings)


class Stopped(BaseException):
    """A run failed under sweep.fail_fast; the argument: how many jobs had started. Hydra goes on after an Exception."""


_session: Session | None = None


def current() -> Session:
    """The session of this process."""
    return _session or start(Session())


def start(session: Session) -> Session:
    """Let the jobs of this process write into `session`."""
    global _session
    _session = session
    return session


def changed(overrides: Iterable[str]) -> list[str]:
    """What tells a job from others: its overrides but those that the command has as they are."""
    return [override for override in overrides if override not in sys.argv]


def job(cfg: "DictConfig") -> list[Ending]:
    """One job of `python -m bench`: a run, or R of them with `replicas=R`."""
    from bench.run import seeds

    with Job(cfg) as this:
        for ending in seeds.runs(prepare(this.composed()), this.many):
            this.tell(ending)
    return this.endings


class Job:
    """A context in which the task of one job is done; `tell` takes each of its endings when it is there.

    An exception ends the task and no sweep: it becomes an ending, and that of a single run goes to the session, for the
    exit status of the command.

    Args:
        cfg: of the job, as Hydra composed it.

    Raises:
        Stopped: on entering; a run of the sweep has failed, and fail_fast was asked for.
        JobFailed: on leaving; a run has failed, and this is not the process of the command.
    """

    def __init__(self, cfg: "DictConfig"):
        from hydra.core.hydra_config import HydraConfig
        from hydra.types import RunMode

        settings = HydraConfig.get()
        self.cfg, self.before = cfg, time.perf_counter()  # before: when the last ending was told
        self.many = settings.mode == RunMode.MULTIRUN
        self.option: str | None = settings.runtime.choices.get("estimator")
        self.number = settings.job.num + 1 if self.many else None
        self.name = changed(settings.overrides.task) if self.many else []
        self.elsewhere = _session is None or _session.process != os.getpid()
        self.session = Session() if _session is None or self.elsewhere else _session
        self.endings = Endings()

    def composed(self) -> dict[str, Any]:
        """The configuration as plain values, with the option of its estimator."""
        return values(self.cfg) | {"option": self.option}

    def tell(self, ending: Ending) -> None:
        """Print the line of one ending, and keep it for the end of the command."""
        place = [] if self.many else [str(ending.directory)]
        label = " ".join([*self.name, *filter(None, [ending.label])] or place)
        now = time.perf_counter()
        ending = ending._replace(label=label, seconds=now - self.before if ending.seconds is None else ending.seconds)
        self.before = now
        self.endings.append(ending)
        self.session.endings.append(ending)
        self.session.tell(self.number, ending)

    def __enter__(self) -> "Job":
        self.session.many = self.many
        if self.many and self.cfg.sweep.fail_fast is True and self.session.failed():
            raise Stopped(self.number - 1 if self.number else 0)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: "TracebackType | None"
    ) -> bool:
        if error is not None and not isinstance(error, Exception):
            return False  # an interruption ends the command
        if error and not self.many:
            self.session.error = error
            return True
        if error:
            self.tell(Ending("skipped" if isinstance(error, Impossible) else "failed", explain(error)))
        failed = next((ending for ending in self.endings if ending.status == "failed"), None)
        if self.elsewhere and failed:
            raise JobFailed(failed.reason, self.endings) from None
        return True
