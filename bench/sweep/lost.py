"""A job whose process ended without a word: what it was about is composed again, for its row."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from hydra.types import HydraContext, TaskFunction
from omegaconf import OmegaConf

from bench import files
from bench.config.identity import replica
from bench.config.prepare import prepare
from bench.run import record
from bench.run.ending import Finished, place
from bench.sweep import job

if TYPE_CHECKING:
    from omegaconf import DictConfig


def lost_job(
    task: TaskFunction, context: HydraContext, config: "DictConfig", overrides: Sequence[str], reason: str, output: str
) -> list[Finished]:
    """The endings, and their rows where the task was runs; `output`, what the process printed, is `traceback.txt`."""
    if task is not job.job:
        return [Finished(None, "failed", reason)]
    cfg = context.config_loader.load_sweep_config(config, list(overrides))
    option = cfg.hydra.runtime.choices.get("estimator")
    plain = OmegaConf.masked_copy(cfg, [str(key) for key in cfg if key != "hydra"])
    composed: Any = OmegaConf.to_container(plain, resolve=True, throw_on_missing=True)
    resolved = prepare(composed | {"option": option})
    ended = []
    for number in range(resolved["replicas"]):
        each = replica(resolved, number)
        directory, what = place(each), f"seed={each['seed']}" if resolved["replicas"] > 1 else ""
        outcome = record.record_lost(each, directory, reason)
        if outcome.status == "failed":
            files.replace(directory / "traceback.txt", output.encode())
        ended.append(Finished(directory, *outcome, what=what))
    return ended
