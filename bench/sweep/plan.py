"""What a sweep was to do: the file `sweep_<hash>.json` beside its runs, one for each command.

Each job's configuration is composed once, before the first one starts. The plan takes the identity of the run from it,
and the launcher of this process takes the configuration itself.
"""

import hashlib
import json
import shlex
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NotRequired, TypedDict

from bench.files import remove_temporaries, replace
from bench.foreign import content, parsed


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


PATTERN = "sweep_*.json"
HELD = 1000  # composed configurations that wait for the launcher, each 0.14 MB


@contextmanager
def kept(arguments: list[str], expect: Callable[[int], None], *, written: bool) -> Iterator[None]:
    """Plan every sweep that Hydra's sweepers start inside: each job is composed before the first one starts.

    Args:
        arguments: of the command.
        expect: told how many jobs there are, batch by batch.
        written: whether to write the plan beside the runs, which takes jobs that are runs.
    """
    from hydra.plugins.sweeper import Sweeper

    plain = Sweeper.validate_batch_is_legal
    folders: dict[Path, list[PlannedJob]] = {}  # of this sweep, which may come in batches

    def compose(sweeper: Any, batch: Sequence[Sequence[str]]) -> None:
        expect(len(batch))
        if not written:
            return plain(sweeper, batch)
        if not batch:
            return None
        for folder, job in _compose(sweeper, [list(overrides) for overrides in batch]):
            folders.setdefault(folder, []).append(job)
        for folder, jobs in folders.items():
            with suppress(OSError):  # each job says so itself
                _write(folder, arguments, jobs)
        return None

    Sweeper.validate_batch_is_legal = compose  # type: ignore[method-assign,assignment]
    try:
        yield
    finally:
        Sweeper.validate_batch_is_legal = plain  # type: ignore[method-assign]


def _compose(sweeper: Any, batch: list[list[str]]) -> Iterator[tuple[Path, PlannedJob]]:
    """For each job the folder of its run and its entry in the plan."""
    from hydra._internal.core_plugins.basic_launcher import BasicLauncher

    loader, held = sweeper.hydra_context.config_loader, dict[tuple[str, ...], Any]()
    compose = type(loader).load_sweep_config
    common = set.intersection(*map(set, batch)) if len(batch) > 1 else set()

    def handed(master_config: Any, sweep_overrides: list[str]) -> Any:
        """Each composed configuration is handed out once, since a launcher writes into it."""
        found = held.pop(tuple(sweep_overrides), None)
        return compose(loader, master_config, sweep_overrides) if found is None else found

    for overrides in batch:
        cfg = compose(loader, sweeper.config, overrides)
        if len(held) < HELD:
            held[tuple(overrides)] = cfg
        for run in _runs(cfg):
            yield Path(cfg.output) / cfg.name, {**run, "overrides": [o for o in overrides if o not in common]}
    if isinstance(sweeper.launcher, BasicLauncher):  # others may send the loader, and all it holds, elsewhere
        loader.load_sweep_config = handed


def _runs(cfg: Any) -> Iterator[PlannedJob]:
    """Which run the job is, or runs of so many replicas, or the sentence that says why it is none."""
    from omegaconf import OmegaConf, open_dict
    from omegaconf.errors import OmegaConfBaseException

    from bench.config.identity import identity, replica
    from bench.config.prepare import on_device, prepare
    from bench.errors import BadInput

    with open_dict(cfg):
        hydra = cfg.pop("hydra")
    try:
        composed: Any = OmegaConf.to_container(cfg, resolve=True, throw_on_missing=True)
        config = prepare(composed)
    except (BadInput, OmegaConfBaseException) as error:
        yield {"overrides": [], "run": None, "reason": " ".join(str(error).split())}
        return
    finally:
        with open_dict(cfg):
            cfg.hydra = hydra
    measure = config["measure"] | {"memory": composed["measure"]["memory"]}
    other = on_device(config | {"measure": measure}, "cpu" if config["device"] == "cuda" else "cuda")
    for number in range(config["replicas"]):
        one = replica(config, number)
        job: PlannedJob = {"overrides": [], "run": identity(one)}
        if composed["device"] == "auto":
            job["on_the_other_device"] = identity(replica(other, number))
        yield job


def _write(folder: Path, arguments: list[str], jobs: list[PlannedJob]) -> None:
    """Write the plan beside the runs; the same command again writes the same file."""
    command = shlex.join(["python", "-m", "bench", *arguments])
    path = folder / f"sweep_{hashlib.sha256(command.encode()).hexdigest()[:8]}.json"
    plan: Plan = {"command": command, "started": datetime.now(UTC).isoformat(timespec="seconds"), "jobs": jobs}
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
        words = [
            "" if job["run"] is None else job["run"],
            job.get("reason", ""),
            job.get("on_the_other_device", ""),
            *job["overrides"],
        ]
        if not isinstance(job["overrides"], list) or not all(isinstance(word, str) for word in words):
            return False
    return isinstance(plan["started"], str) and isinstance(plan["command"], str) and bool(plan["command"])


def _digest(plan: Plan) -> str:
    return hashlib.sha256(json.dumps(plan, sort_keys=True).encode()).hexdigest()
