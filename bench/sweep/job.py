"""One job of Hydra: from a composed configuration to a run directory, once."""

import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from bench.config.prepare import prepare
from bench.errors import BadInput, Impossible
from bench.run import attempt, record
from bench.run.ending import Finished, already, earlier_run, line, place, require_writable
from bench.run.failures import explain, not_started

if TYPE_CHECKING:
    from omegaconf import DictConfig


class Session:
    """What the jobs that run in this process leave for the end of the command."""

    def __init__(self) -> None:
        self.process = os.getpid()
        self.total = 0  # jobs of the sweep; 0: not known
        self.many = False
        self.finished: list[Finished] = []
        self.error: Exception | None = None

    def tell(self, number: int | None, what: str, finished: Finished, seconds: float) -> None:
        """Print the line of one ending; `number` is that of the job in its sweep."""
        of = f"/{self.total}" if self.total else ""
        label = what if number is None else f"{number}{of} {what}".rstrip()
        print(line(label, finished, seconds), flush=True)


class JobFailed(BadInput):
    """A job failed in a process of a launcher: raised there, so that Hydra tells the process of the command."""

    def __init__(self, message: str, finished: Sequence[Finished] = ()):
        super().__init__(message)
        self.finished = list(finished)


class Stopped(BaseException):
    """With fail_fast a run has failed; the argument: how many jobs were started. Hydra goes on after an Exception."""


_session: Session | None = None


def current() -> Session:
    """The session of this process."""
    return _session or start(Session())


def start(session: Session) -> Session:
    """Let the jobs of this process write into `session`."""
    global _session
    _session = session
    return session


Work = Callable[["DictConfig", str | None, bool], Iterator[Finished]]


def job(cfg: "DictConfig") -> list[Finished]:
    """One run."""
    return perform(cfg, _run)


def perform(cfg: "DictConfig", work: Work) -> list[Finished]:
    """Do `work(cfg, option, many)` and print a line for all that it finishes. In the process of the command nothing but
    Stopped is raised, so that a failed job never stops a sweep unless that was asked for."""
    from hydra.core.hydra_config import HydraConfig
    from hydra.types import RunMode

    settings, began = HydraConfig.get(), time.perf_counter()
    many = settings.mode == RunMode.MULTIRUN
    session = _session if _session and _session.process == os.getpid() else Session()
    session.many = many
    if many and cfg.sweep.fail_fast is True and any(finished.status == "failed" for finished in session.finished):
        raise Stopped(settings.job.num)
    number = settings.job.num + 1 if many else None
    name = [o for o in settings.overrides.task if o not in sys.argv] if many else []
    mine: list[Finished] = []

    def note(finished: Finished) -> None:
        nonlocal began
        mine.append(finished)
        session.finished.append(finished)
        words = [*name, *filter(None, [finished.what])] or ([] if many else [str(finished.directory)])
        now = time.perf_counter()
        session.tell(number, " ".join(words), finished, now - began if finished.seconds is None else finished.seconds)
        began = now

    try:
        for finished in work(cfg, settings.runtime.choices.get("estimator"), many):
            note(finished)
    except Exception as error:
        if not many:
            session.error = error
            return mine
        note(Finished(None, "skipped" if isinstance(error, Impossible) else "failed", explain(error)))
    failed = next((finished for finished in mine if finished.status == "failed"), None)
    if session is not _session and failed:
        raise JobFailed(failed.reason, mine)
    return mine


def _run(cfg: "DictConfig", option: str | None, many: bool) -> Iterator[Finished]:
    from omegaconf import OmegaConf

    composed: Any = OmegaConf.to_container(cfg, resolve=True, throw_on_missing=True)
    config = prepare(composed | {"option": option})
    if config["replicas"] > 1:
        from bench.run.seeds import together

        yield from together(config, many)
    else:
        yield _once(config, many)


def _once(config: dict[str, Any], many: bool) -> Finished:
    from bench.config import plugins
    from bench.run import single

    plugins.build(config["estimator"])  # a value that the constructor refuses is found before anything is written
    directory = place(config)
    require_writable(directory)
    if ended := already(config, directory, many):
        return ended
    try:
        outcome = single.run(config, directory, progress=not many and sys.stderr.isatty())
    except Exception as error:  # before the start: what goes wrong later is recorded by run itself
        outcome = record.record(config, directory, *not_started(error, many))
    if outcome.status == "running":
        now = None if attempt.worker(directory) else earlier_run(directory)
        return now or Finished(directory, *outcome, already=True)
    return Finished(directory, *outcome)
