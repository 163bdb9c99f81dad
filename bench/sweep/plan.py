"""What a sweep was to do: the file `sweep_<hash>.json` beside its runs, one for each command.

Each job is composed and checked before the first one starts.
"""

import hashlib
import json
import shlex
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, NotRequired, TypedDict
from unittest.mock import patch

from bench.files import remove_temporaries, replace
from bench.foreign import content, parsed
from bench.garbage import seldom_searched
from bench.terminal import slow_bar

if TYPE_CHECKING:
    from bench.sweep.job import Planned, Session


class PlannedJob(TypedDict):
    """A job of a sweep: the run that it is, or why it is none."""

    overrides: list[str]  # those that not all jobs have
    run: str | None
    on_the_other_device: NotRequired[str]  # the run that it is on the other device, with device=auto
    reason: NotRequired[str]


class Plan(TypedDict):
    """What one command was to do."""

    command: str
    started: str
    jobs: list[PlannedJob]


class _Composed(NamedTuple):
    """A job: its overrides, the folder of its runs, their entries in the plan, and what its launcher is told."""

    overrides: Sequence[str]
    folder: Path
    entries: list[PlannedJob]
    planned: "Planned | None"


PATTERN = "sweep_*.json"


@contextmanager
def kept(words: list[str], session: "Session", *, written: bool) -> Iterator[None]:
    """Plan every sweep that Hydra's sweepers start inside: each job is composed before the first one starts.

    Args:
        words: of the command, behind `python -m`.
        session: told how many jobs there are, batch by batch, and which runs each of them is.
        written: whether to write the plan beside the runs, which takes jobs that are runs.
    """
    from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
    from hydra.plugins.sweeper import Sweeper

    plain, split = Sweeper.validate_batch_is_legal, BasicSweeper.split_arguments
    folders: dict[Path, list[PlannedJob]] = {}  # of this sweep, which may come in batches
    ahead: deque[list[_Composed]] = deque()  # of each batch that is still to come

    def compose(sweeper: Any, batch: Sequence[Sequence[str]]) -> list[_Composed]:
        return list(_compose(sweeper, batch)) if written else plain(sweeper, batch) or []

    def batches(sweeper: Any, *of: Any) -> list[list[list[str]]]:  # after them Hydra writes a file of the sweep
        from bench.sweep.clusters import Cluster

        found = split(*of)
        ahead.extend(compose(sweeper, batch) for batch in found)
        if written and not isinstance(sweeper.launcher, Cluster):  # its jobs may find a device that is not here
            _require_some([entry for batch in ahead for job in batch for entry in job.entries])
        return found

    def plan(sweeper: Any, batch: Sequence[Sequence[str]]) -> None:
        from bench.sweep.mirrors import Mirror

        session.expect(len(batch))
        for overrides, folder, entries, planned in ahead.popleft() if ahead else compose(sweeper, batch):
            folders.setdefault(folder, []).extend(entries)
            if planned:
                session.planned[tuple(overrides)] = planned
        for folder, jobs in folders.items() if batch else ():
            with suppress(OSError):  # each job says so itself
                _write(folder, words, jobs)
        for callback in sweeper.hydra_context.callbacks.callbacks:
            if isinstance(callback, Mirror):
                callback.begin()

    with patch.object(Sweeper, "validate_batch_is_legal", plan), patch.object(BasicSweeper, "split_arguments", batches):
        yield


def _compose(sweeper: Any, batch: Sequence[Sequence[str]]) -> "Iterator[_Composed]":
    load = sweeper.hydra_context.config_loader.load_values
    common = set.intersection(*map(set, batch)) if len(batch) > 1 else set()
    with seldom_searched(), slow_bar("checking jobs", len(batch)) as advance:
        for done, overrides in enumerate(batch, 1):
            cfg = load(sweeper.config, list(overrides))
            folder, (entries, planned) = Path(cfg.output) / cfg.name, runs_of(cfg)
            own = [o for o in overrides if o not in common]
            yield _Composed(overrides, folder, [{**entry, "overrides": own} for entry in entries], planned)
            advance(done)


def _require_some(jobs: Sequence[PlannedJob]) -> None:
    """Raise BadInput, with the reason of the first, where not one of the jobs can be a run."""
    from bench.errors import BadInput

    if jobs and all(job["run"] is None for job in jobs):
        raise BadInput(jobs[0].get("reason", ""))


def runs_of(cfg: Any) -> tuple[list[PlannedJob], "Planned | None"]:
    """Which run the job is, or runs of so many replicas, or why it is none; `cfg` loses Hydra's own part. Raises
    UnknownKey, since such a job is a mistake in the command and no row of a sweep."""
    from omegaconf import open_dict
    from omegaconf.errors import OmegaConfBaseException

    from bench.config.code import targets
    from bench.config.identity import identity, replica
    from bench.config.prepare import on_device, prepare
    from bench.errors import BadInput, UnknownKey
    from bench.sweep.job import Planned
    from bench.sweep.resolved import resolved

    with open_dict(cfg):
        cfg.pop("hydra", None)
    try:
        composed = resolved(cfg)
        config = prepare(composed)
    except UnknownKey:
        raise
    except (BadInput, OmegaConfBaseException) as error:
        return [{"overrides": [], "run": None, "reason": " ".join(str(error).split())}], None
    measure = config["measure"] | {"memory": composed["measure"]["memory"]}
    other = on_device(config | {"measure": measure}, "cpu" if config["device"] == "cuda" else "cuda")
    jobs: list[PlannedJob] = []
    for number in range(config["replicas"]):
        job: PlannedJob = {"overrides": [], "run": identity(replica(config, number))}
        if composed["device"] == "auto":
            job["on_the_other_device"] = identity(replica(other, number))
        jobs.append(job)
    runs = tuple(str(job["run"]) for job in jobs)
    folder = Path(config["output"]) / config["name"]
    reference = config["measure"]["reference"]
    return jobs, Planned(folder, runs, config["seed"], config["sweep"], targets(config), reference)


def file_of(words: list[str], pattern: str = PATTERN) -> str:
    """The name of a file that belongs to the command of these words behind `python -m`, and to no other."""
    return pattern.replace("*", hashlib.sha256(command_of(words).encode()).hexdigest()[:8])


def command_of(words: list[str]) -> str:
    """The command, as a shell takes it."""
    return shlex.join(["python", "-m", *words])


def _write(folder: Path, words: list[str], jobs: list[PlannedJob]) -> None:
    """Write the plan beside the runs; the same command again writes the same file."""
    command, path = command_of(words), folder / file_of(words)
    plan: Plan = {"command": command, "started": datetime.now(UTC).isoformat(timespec="microseconds"), "jobs": jobs}
    folder.mkdir(parents=True, exist_ok=True)
    replace(path, json.dumps({**plan, "digest": _digest(plan)}, indent=1).encode())
    remove_temporaries(folder, path.name)  # whoever else writes this plan writes the same


def read(path: Path) -> Plan | None:
    """A plan: command, started, jobs with their overrides and their run; None where the file is none, or damaged."""
    try:
        plan = parsed(content(path))
        digest = plan.pop("digest", None)  # none in plans of before
        return plan if digest in (None, _digest(plan)) and _whole(plan) else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _whole(plan: Plan) -> bool:
    """Whether every field is there, with values of the types that `_write` writes."""
    for job in plan["jobs"]:
        words = ["" if job["run"] is None else job["run"], *job["overrides"]]
        words += [job.get("reason", ""), job.get("on_the_other_device", "")]
        if not isinstance(job["overrides"], list) or not all(isinstance(word, str) for word in words):
            return False
    return isinstance(plan["started"], str) and isinstance(plan["command"], str) and bool(plan["command"])


def _digest(plan: Plan) -> str:
    return hashlib.sha256(json.dumps(plan, sort_keys=True).encode()).hexdigest()
