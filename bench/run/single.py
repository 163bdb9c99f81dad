"""One run: from a resolved config to the tables of a run directory."""

import time
from collections.abc import Collection
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from bench.errors import Impossible
from bench.problems import family
from bench.run import attempt, checkpoint, images
from bench.run.device import set_up
from bench.run.ending import Outcome
from bench.run.experiment import Experiment
from bench.run.failures import note_failure
from bench.run.guard import Guard
from bench.run.provenance import provenance
from bench.run.record import record
from bench.run.state import State
from bench.tables import store
from bench.terminal import progress_bar

LOOK_EVERY = 100  # training steps between two looks at the loss


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
    set_up(config)
    version = store.version(directory)
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
