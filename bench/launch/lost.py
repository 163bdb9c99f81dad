"""A job whose process ended without a word: what it was about is composed again, for its row."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from hydra.types import HydraContext, TaskFunction
from omegaconf import OmegaConf

from bench import job, run, tables
from bench.config import prepare

if TYPE_CHECKING:
    from omegaconf import DictConfig


def record_lost(
    task: TaskFunction, context: HydraContext, config: "DictConfig", overrides: Sequence[str], reason: str, output: str
) -> job.Finished:
    """The ending, and its row where the task was one run; `output`, what the process printed, is `traceback.txt`."""
    if task is not job.job:
        return job.Finished(None, "failed", reason)
    cfg = context.config_loader.load_sweep_config(config, list(overrides))
    option = cfg.hydra.runtime.choices.get("estimator")
    plain = OmegaConf.masked_copy(cfg, [str(key) for key in cfg if key != "hydra"])
    composed: Any = OmegaConf.to_container(plain, resolve=True, throw_on_missing=True)
    resolved = prepare(composed | {"option": option})
    directory = job.place(resolved)
    outcome = run.record_lost(resolved, directory, reason)
    if outcome.status == "failed":
        tables.replace(directory / "traceback.txt", output.encode())
    return job.Finished(directory, *outcome)
