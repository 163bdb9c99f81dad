"""Short runs on the digits, and what they leave on the disk."""

from copy import deepcopy
from functools import cache
from pathlib import Path

from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from bench.config import plugins
from bench.config.prepare import prepare
from bench.files import CONF
from bench.tables import store

SMALL = (
    "train.steps=12", "train.batch_size=20", "measure.draws=8", "measure.batches=2", "measure.at=[0,1]", "threads=1",
    "evaluate.at=[0,1]", "evaluate.examples=30", "evaluate.samples=3", "timing.repetitions=2", "timing.warmup=0",
    "timing.block=0",
)  # fmt: skip


TIMES = {
    "started", "command", "seconds", "seconds_se", "seconds_q1", "seconds_q3", "repetitions", "calls", "valid",
    "cpu_share", "preempted", "load_before", "load", "load_after",
}  # fmt: skip


def config(*words: str) -> dict:
    """A run of a dozen steps on the digits."""
    return prepare(deepcopy(_composed(*words)))


@cache
def _composed(*words: str) -> dict:
    plugins.register()
    with initialize_config_dir(str(CONF), **plugins.VERSION_BASE):
        composed = compose("config", [*SMALL, *words], return_hydra_config=True)
    option = composed.hydra.runtime.choices.estimator
    plain = OmegaConf.to_container(composed, resolve=False)
    del plain["hydra"]
    return OmegaConf.to_container(OmegaConf.create(plain), resolve=True) | {"option": option}


def numbers(directory: Path) -> dict:
    """All rows but the times."""
    found = {name: table.to_pylist() for name, table in store.read(directory).items()}
    return {n: [{k: v for k, v in r.items() if k not in TIMES} for r in rows] for n, rows in found.items()}
