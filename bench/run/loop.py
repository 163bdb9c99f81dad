"""The loop over the training steps, with its stops: the same for one seed and for several."""

from collections.abc import Collection
from pathlib import Path

from bench.run import checkpoint, images, rows
from bench.run.ending import Ending
from bench.run.guard import Guard
from bench.run.training import Training, alive
from bench.terminal import progress_bar
from bench.train.trainer import LOSSES_KEPT


def train(training: Training, guard: Guard, directories: list[Path], mine: Collection[int], progress: bool) -> None:
    """Train all seeds to the end; evaluate, measure and time those that have not diverged.

    Called by `perform`, which has claimed the runs. Afterwards `training.endings` holds the seeds whose loss was not
    finite, and each experiment has its rows.

    Args:
        training: it has taken no step; the guard continues an interrupted one.
        guard: of this training, not yet entered. The model is written at each of its checkpoints.
        directories: of each seed.
        mine: the seeds whose runs this process records.
        progress: whether to show a progress bar.
    """
    trainer, steps = training.trainer, training.config["train"]["steps"]
    stops = rows.steps_of(training.config, "evaluate") | rows.steps_of(training.config, "measure")
    with progress_bar(training.title, steps, progress) as advance, training.noise(), guard:
        training.prepare()
        while True:
            guard.look()
            step = trainer.step_count
            if step % LOSSES_KEPT == 0 or step in stops or step in guard.checkpoints:
                training.clock.settle()
                end_diverged(training)
            for number, experiment in alive(training).items():
                if step in guard.checkpoints:
                    checkpoint.write_checkpoint(directories[number], experiment.model, experiment.config, step)
                for doing, work in rows.due(experiment, step) if step in stops else ():
                    guard.require_time()
                    advance(step, doing)
                    work()
            if step >= steps or not alive(training):
                break
            guard.step()
            advance(trainer.step_count)
        for number, experiment in alive(training).items():
            if number in mine:
                guard.require_time()
                advance(steps, "timing")
                rows.add_cost(experiment)
                images.write_images(directories[number], experiment)


def end_diverged(training: Training) -> None:
    """End the seeds whose loss is no longer finite. The others continue."""
    for number, step in enumerate(training.diverged()):
        if step is not None and number not in training.endings:
            reason = f"The loss was not finite at step {step}."
            training.endings[number] = Ending("diverged", reason, step=training.trainer.step_count)
