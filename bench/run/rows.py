"""The rows that a run measures: which are due at a step, and how each is made, without the run's id."""

import sys
from collections.abc import Callable
from functools import partial
from typing import Literal, NamedTuple

from torch import Tensor

from bench.measure.choices import choices
from bench.measure.cost import costs
from bench.measure.evaluate import evaluate
from bench.measure.gradient.reference import Reference
from bench.measure.gradient.rows import measure
from bench.measure.parameters import parameter_snr
from bench.model.objective import Objective
from bench.problems import Problem
from bench.run.experiment import Experiment
from bench.settings import Config
from bench.streams import derived
from bench.tables.rows import ChoiceRow, GradientRow, ObjectiveRow
from bench.tables.schema import OWN_TRAINING


class Due(NamedTuple):
    """One piece of work at a stop, and the word for it beside the progress bar."""

    doing: str
    work: Callable[[], None]


def steps_of(config: Config, group: Literal["evaluate", "measure"]) -> set[int]:
    """The training steps at which `evaluate` or `measure` is due."""
    steps = config["train"]["steps"]
    return {round(fraction * steps) for fraction in config[group]["at"]}


def due(experiment: Experiment, step: int) -> list[Due]:
    """The evaluations and measurements due at this step, in their order. None changes the training."""
    found, seed = [], derived(experiment.config["seeds"]["measure"], f"measurement at step {step}")
    if step in steps_of(experiment.config, "evaluate"):
        found.append(Due("evaluating", partial(add_objective, experiment, step)))
    if step in steps_of(experiment.config, "measure"):
        work = partial(add_gradient, experiment, step, OWN_TRAINING, seed, experiment.reference)
        found.append(Due("measuring", work))
    return found


def add_objective(experiment: Experiment, step: int) -> None:
    """Add the rows of tables `objective` and `choices` for each split, at the model's present parameters."""
    about: ObjectiveRow = {"seed": experiment.config["seed"], "step": step, "seconds": experiment.clock.seconds}
    for split in experiment.data.splits:
        experiment.rows["objective"].append(about | {"split": split} | evaluated(experiment, split))
        of_split: ChoiceRow = {"seed": experiment.config["seed"], "step": step, "split": split}
        experiment.rows["choices"] += [
            of_split | row for row in choices(experiment.model, images_of(experiment, split))
        ]


def evaluated(experiment: Experiment, split: str) -> ObjectiveRow:
    """The bounds of the model on the examples of a split."""
    settings, seeds = experiment.config["evaluate"], experiment.config["seeds"]
    x = images_of(experiment, split)
    samples, prior = (settings["samples"], settings["prior_samples"]), experiment.objective.beta > 0
    return evaluate(experiment.model, x, *samples, seeds["measure"], prior, experiment.data.level_bits)


def images_of(experiment: Experiment, split: str) -> Tensor:
    """The examples of a split that are evaluated, `[n, X]`."""
    return experiment.data.fixed(split, experiment.config["evaluate"]["examples"], experiment.config["seeds"]["data"])


def add_gradient(
    experiment: Experiment, step: int, trained_with: str, seed: int, reference: Objective | Reference | None
) -> None:
    """Add the rows of table `gradient`, one for each part, at the model's present parameters.

    Args:
        experiment: the experiment to measure.
        step: of the training.
        trained_with: the option that trained the model.
        seed: of the draws.
        reference: the objective of the reference, or its gradients, or None.
    """
    settings, config, model = experiment.config["measure"], experiment.config, experiment.model
    measured = measure(
        experiment.objective,
        experiment.probe,
        settings["draws"],
        seed=seed,
        memory=settings["memory"],
        layers=settings["layers"],
        reference=reference,
        reference_draws=settings["reference_draws"],
        precision=settings["precision"],
        max_draws=settings["max_draws"],
    )
    about: GradientRow = {"seed": config["seed"], "step": step, "estimator": config["option"]}
    single: dict[str, GradientRow] = {}
    if settings["papers"]:
        single = parameter_snr(experiment.objective, experiment.probe[0], settings["draws"], seed)
    exact: dict[str, float] = {}
    if isinstance(model, Problem) and experiment.objective.noise_of_cost_alone:
        exact = model.variances(experiment.estimator, experiment.probe)
    for row in measured:
        row |= about | {"trained_with": trained_with, "variance_exact": exact.get(row["part"])}
        row |= experiment.moving.columns(row["part"]) if experiment.moving else {}
        row |= single.get(row["part"], {})
        if row["note"]:
            print(f"Step {step}: {row['note']}", file=sys.stderr)
    experiment.rows["gradient"] += measured


def add_cost(experiment: Experiment) -> None:
    """Add the rows of table `cost`: a step and a gradient, timed on a copy of the trainer."""
    config = experiment.config
    if not config["timing"]["repetitions"]:
        return
    timed = costs(
        experiment.trainer,
        experiment.batches("timing"),
        rounds=experiment.rounds(),
        seed=config["seeds"]["measure"],
        name=experiment.executes,
        compiling=experiment.compiling,
    )
    experiment.rows["cost"] += [{"estimator": config["option"], **row} for row in timed]
