"""A job whose process ended without a result: its configuration is composed again, so that it has a row."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from hydra.types import HydraContext, TaskFunction
from omegaconf import OmegaConf

from bench import files
from bench.config.identity import replica
from bench.config.prepare import prepare
from bench.config.written import values
from bench.run import record
from bench.run.ending import Ending, place
from bench.sweep import job

if TYPE_CHECKING:
    from omegaconf import DictConfig


def lost_job(
    task: TaskFunction, context: HydraContext, config: "DictConfig", overrides: Sequence[str], reason: str, output: str
) -> list[Ending]:
    """The endings of a lost job; its runs get failed rows, and `output`, what it printed, becomes `traceback.txt`."""
    name = job.changed(overrides)
    if task is not job.job:
        return [Ending("failed", reason, label=" ".join(name))]
    cfg = context.config_loader.load_sweep_config(config, list(overrides))
    option = cfg.hydra.runtime.choices.get("estimator")
    plain = OmegaConf.masked_copy(cfg, [str(key) for key in cfg if key != "hydra"])
    whole = prepare(values(plain) | {"option": option})
    ended = []
    for number in range(whole["replicas"]):
        each = replica(whole, number)
        directory, seed = place(each), [f"seed={each['seed']}"] if whole["replicas"] > 1 else []
        ending = record.record_lost(each, directory, reason)
        if ending.status == "failed":
            files.replace(directory / "traceback.txt", output.encode())
        ended.append(ending._replace(label=" ".join([*name, *seed])))
    return ended
