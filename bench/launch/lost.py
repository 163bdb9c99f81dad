"""A job whose process ended without a word: what it was about is composed again, for its row."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from hydra.types import HydraContext, TaskFunction
from omegaconf import open_dict

from bench import job

if TYPE_CHECKING:
    from omegaconf import DictConfig


def record_lost(
    task: TaskFunction, context: HydraContext, config: "DictConfig", overrides: Sequence[str], reason: str, output: str
) -> job.Finished:
    """The ending, and the row of it where the task was one run; `output` is what the process printed."""
    if task is not job.job:
        return job.Finished(None, "failed", reason)
    composed = context.config_loader.load_sweep_config(config, list(overrides))
    option = composed.hydra.runtime.choices.get("estimator")
    with open_dict(composed):
        del composed["hydra"]
    return job.lost(composed, option, reason, output)
