"""One run: from a resolved config to the tables of a run directory."""

import json
import time
import traceback
from collections.abc import Collection
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import NamedTuple

import torch

from bench import attempt, checkpoint, images, tables
from bench.config import Impossible, identity
from bench.experiment import Experiment
from bench.failures import out_of_memory
from bench.guard import Guard, TimeLimit
from bench.plugins import build
from bench.problems import family
from bench.progress import progress_bar
from bench.provenance import provenance
from bench.schema import SCHEMA
from bench.state import State

LOOK_EVERY = 100  # training steps between two looks at the loss


class Outcome(NamedTuple):
    status: str  # done | diverged | skipped | failed; running, where another process works on it
    reason: str  # one sentence, or ""


def run(config: dict, directory: Path, progress: bool = False, checkpoints: Collection[int] = ()) -> Outcome:
    """Train, measure, evaluate and time as `config` says, and write the tables.

    What goes wrong after the start is recorded: status `failed`, the reason, and `traceback.txt`. A run that was
    interrupted continues where it last wrote down its state.

    Args:
        config: resolved and checked.
        directory: of this run, where everything goes.
        progress: whether to show a bar.
        checkpoints: steps at which the model is written beside the tables (`bench.checkpoint`); training is the same.

    Raises:
        Impossible: the parts of the config do not go together; nothing is written.
        ValueError: a part asks for what there is not, such as a data file; nothing is written.
    """
    started, clock = datetime.now(UTC), time.perf_counter()
    torch.set_num_threads(config["threads"])
    version = tables.version(directory)
    experiment = Experiment(config)
    if reason := experiment.impossible():
        raise Impossible(reason)
    trainer = experiment.trainer
    about = {"command": provenance(config["device"], config["threads"])["command"], "steps": config["train"]["steps"]}
    about["label"] = f"{config['option']} on {family(config)}, seed {config['seed']}"
    with attempt.claim(directory, about, lambda: trainer.step_count, version) as taken:
        if taken:
            return Outcome("running", taken)
        status, reason = "done", ""
        guard = Guard(State(experiment), directory, checkpoints, started, clock)
        try:
            diverged = _go(experiment, progress, directory, checkpoints, guard)
            if diverged is not None:
                status, reason = "diverged", f"The loss was not finite at step {diverged}."
        except Exception as error:
            status, reason = "failed", note_failure(error, directory)
        row = {"step": trainer.step_count, "started": guard.started, "seconds": guard.seconds()}
        return record(config, directory, status, reason, row, experiment.rows)


def note_failure(error: Exception, directory: Path) -> str:
    """Write `traceback.txt` of the exception being handled; the reason of the row, one line."""
    directory.mkdir(parents=True, exist_ok=True)
    if isinstance(error, TimeLimit):
        (directory / "traceback.txt").unlink(missing_ok=True)
        return str(error)
    tables.replace(directory / "traceback.txt", traceback.format_exc().encode())
    return out_of_memory(error) or f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"


def record_lost(config: dict, directory: Path, reason: str) -> Outcome:
    """Write the failed row of a run whose process is gone, for whoever started that process.

    What the process had finished, or another one works on, stays as it is. `resume.pt` stays too. Where the process was
    on another machine, this waits until it counts as dead.

    Args:
        config: resolved and checked.
        directory: of the run.
        reason: one sentence.
    """
    attempt.outlast(directory)
    last = attempt.read(directory) or {}
    if other := attempt.worker(directory):
        return Outcome("running", f"{other} works on it.")
    (directory / attempt.FILE).unlink(missing_ok=True)
    if (directory / tables.MARKER).is_file():
        [row] = tables.read(directory)["runs"].to_pylist()
        if row["status"] != "failed":
            return Outcome(row["status"], row["reason"] or "")
    (directory / "traceback.txt").unlink(missing_ok=True)
    return record(config, directory, "failed", reason, {k: last[k] for k in ("step", "started") if k in last})


def record(
    config: dict, directory: Path, status: str, reason: str, row: dict | None = None, rows: dict | None = None
) -> Outcome:
    """Write a run directory; with neither `row` nor `rows`, of a run that never started."""
    estimator = build(config["estimator"])
    run_id = identity(config)
    about = {
        "run": run_id,
        "name": config["name"],
        "status": status,
        "reason": reason or None,
        "estimator": config["option"],
        "family": family(config),
        "unbiased": estimator.unbiased,
        "objective": estimator.objective,
        "seed": config["seed"],
        "schema": SCHEMA,
        "config": json.dumps(config, sort_keys=True),
    }
    about |= provenance(config["device"], config["threads"]) | (row or {})
    found = {name: [{"run": run_id} | r for r in table] for name, table in (rows or {}).items()}
    tables.write(directory, {"runs": [about], **found})
    if status != "failed":
        for left in ("traceback.txt", attempt.RESUME):
            with suppress(OSError):
                (directory / left).unlink()
    return Outcome(status, reason)


def _go(
    experiment: Experiment, progress: bool, directory: Path, checkpoints: Collection[int], guard: Guard
) -> int | None:
    """The whole training with its stops; the step of divergence, or None."""
    trainer, steps = experiment.trainer, experiment.config["train"]["steps"]
    title = f"{experiment.config['option']} on {family(experiment.config)}"
    with progress_bar(title, steps, progress) as advance, experiment.noise(), guard:
        while True:
            guard.look()
            step = trainer.step_count
            look = step % LOOK_EVERY == 0 or experiment.stops(step) or step in checkpoints
            diverged = trainer.diverged() if look else None
            if diverged is not None:
                return diverged
            if step in checkpoints:
                checkpoint.save(directory, experiment.model, experiment.config, step)
            experiment.stop(guard.saying(partial(advance, step)))
            if step >= steps:
                break
            guard.step()
            advance(trainer.step_count)
        guard.saying(partial(advance, steps))("timing")
        experiment.time()
        images.save(directory, experiment)
    return None
