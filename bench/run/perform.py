"""From configurations to run directories: build the parts, claim the runs, train, write the tables."""

from collections.abc import Collection
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from bench.config.parts import family
from bench.config.raised import building
from bench.errors import Impossible
from bench.run import attempt
from bench.run.claim import About
from bench.run.device import set_up
from bench.run.ending import Ending, taken
from bench.run.experiment import Experiment
from bench.run.failures import note_failure
from bench.run.guard import Guard
from bench.run.loop import train
from bench.run.provenance import provenance
from bench.run.record import record
from bench.run.together import Together
from bench.run.training import Training, alive
from bench.settings import Config
from bench.tables.rows import RunRow


def start(configs: list[Config]) -> Training:
    """Build the parts of one seed, or of several that are trained at once. Nothing is written.

    Raises:
        BadInput: an earlier run of this process has lost the GPU.
        Impossible: the parts do not go together, or cannot be trained at once.
        ValueError: a part is missing, such as a data file, or a class of someone's own refuses a value or raises.
    """
    set_up(configs[0])
    with building(configs[0]):
        if len(configs) > 1:
            return Together(configs)
        experiment = Experiment(configs[0])
    if reason := experiment.impossible():
        raise Impossible(reason)
    return experiment


def perform(
    training: Training,
    directories: list[Path],
    wanted: dict[int, Any],
    progress: bool = False,
    checkpoints: Collection[int] = (),
) -> dict[int, Ending]:
    """Claim the wanted seeds, train, and record those on which no other process works.

    An error is recorded: status `failed`, the reason, and `traceback.txt`. An interrupted training continues from its
    last saved state.

    Args:
        training: from `start`; it has taken no step.
        directories: of each seed.
        wanted: the numbers of the seeds to run, each with the version of its directory when that was decided.
        progress: whether to show a progress bar.
        checkpoints: steps at which the model is written beside the tables; they do not change the training.

    Returns:
        How each of the wanted seeds ended.
    """
    endings: dict[int, Ending] = {}
    with ExitStack() as claims:
        for number, version in wanted.items():
            directory, step = directories[number], lambda: training.trainer.step_count
            if reason := claims.enter_context(attempt.claim(directory, about(training, number), step, version)):
                endings[number] = taken(directories[number], reason)
        if mine := [number for number in wanted if number not in endings]:
            guard = Guard(training, directories[mine[-1]], checkpoints)  # of the last recorded run: it has resume.pt
            ended = dict.fromkeys(mine, Ending("done"))
            try:
                train(training, guard, directories, mine, progress)
            except Exception as error:
                ended = {
                    n: Ending("failed", note_failure(error, directories[n], training.config))
                    for n in mine
                    if n in alive(training)
                }
            columns: RunRow = {"started": training.wall.started, "seconds": guard.seconds()}
            for number in mine:
                ending = training.endings.get(number) or ended[number]._replace(step=training.trainer.step_count)
                one, directory = training.experiments[number], directories[number]
                endings[number] = record(
                    one.config, directory, ending, estimator=one.estimator, columns=columns, rows=one.rows
                )
    return endings


def about(training: Training, number: int) -> About:
    """What the claim on a run tells its reader: command, steps and label."""
    config = training.experiments[number].config
    return {
        "command": provenance(config["device"], config["threads"])["command"],
        "steps": config["train"]["steps"],
        "label": f"{config['option']} on {family(config)}, seed {config['seed']}",
    }
