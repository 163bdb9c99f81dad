"""What single rules cannot say: keys that bear on each other. Each raises BadInput, with one sentence."""

import math
from collections.abc import Mapping
from typing import Any

from bench.errors import BadInput, nearest_estimator

LEAST_KURTOSIS = 1e-3  # less 1, of a gradient with thousands of independent coordinates: no fewer draws will ever do


def check_training(leaves: Mapping[str, Any]) -> None:
    """Of the optimiser and its schedule."""
    betas, optimiser, momentum = (leaves[f"train.{key}"] for key in ("betas", "optimiser", "momentum"))
    if len(betas) != 2 or max(betas) >= 1:
        raise BadInput(f"train.betas needs two numbers from 0 to below 1; got {betas}.")
    if leaves["train.nesterov"] and not (optimiser == "sgd" and momentum > 0):
        raise BadInput(
            f"train.nesterov=true looks ahead along the momentum of sgd; got train.optimiser={optimiser} with "
            f"train.momentum={momentum:g}."
        )
    if (warmup := leaves["train.warmup"]) and warmup >= (steps := leaves["train.steps"]):
        raise BadInput(f"train.warmup={warmup} must end before the training does, which has train.steps={steps}.")


def check_reference(name: str) -> None:
    """That there is such a reference."""
    from bench.config import plugins

    unbiased = {option for option, entry in plugins.registry().items() if getattr(entry.cls, "unbiased", True)}
    if name not in {"none", "auto", "exact"} | unbiased:
        options = {"none", "auto", "exact", *unbiased}
        raise BadInput(f"measure.reference={name} is not an unbiased estimator: {nearest_estimator(name, options)}")


def check_precision(leaves: Mapping[str, Any]) -> None:
    """That the draws which are allowed may reach it."""
    precision, draws, most = (leaves[f"measure.{key}"] for key in ("precision", "draws", "max_draws"))
    if precision is None:
        return
    if draws > most:
        raise BadInput(f"measure.precision begins with measure.draws={draws}; measure.max_draws={most} allows fewer.")
    all_draws = leaves["measure.batches"] * most
    if precision * precision * all_draws < LEAST_KURTOSIS:
        needed = math.ceil(LEAST_KURTOSIS / max(precision, 1e-100) ** 2 / leaves["measure.batches"])
        least = math.sqrt(LEAST_KURTOSIS / all_draws)
        raise BadInput(
            f"measure.precision={precision:g} cannot be reached with measure.max_draws={most}: even the mildest tails "
            f"need {needed:.12g} draws; ask for {least:.1g} or more, or allow more draws."
        )
