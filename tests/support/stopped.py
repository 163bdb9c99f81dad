"""Runs that are stopped somewhere, and processes that live or do not."""

import platform
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from bench.run import attempt
from bench.run.single import run
from bench.tables import store
from bench.train.trainer import Trainer
from tests.support.runs import config, numbers

STOPS = (
    "measure.at=[0,0.5,1]", "evaluate.at=[0,0.3,1]", "measure.draws=2", "measure.batch_size=10", "model.hidden=[8]",
    "evaluate.prior_samples=0", "timing.repetitions=0", "train.batch_size=200", "sweep.checkpoint_seconds=0",
)  # fmt: skip
REBAR = (*STOPS, "latent=bernoulli_small", "estimator=rebar", "dtype=float64", "measure.papers=true")


@cache
def chosen(*words: str) -> dict:
    return config(*words)


def whole(directory: Path) -> dict:
    """The numbers of rebar's run, which nobody disturbs."""
    assert run(chosen(*REBAR), directory).status == "done"
    return numbers(directory)


def stopping(monkeypatch, at: int, by=lambda: signal.raise_signal(signal.SIGINT)):
    """Let something happen within the training step that follows `at` of them, once."""
    step = Trainer.step

    def stopped(self):
        if self.step_count == at and by is not None:
            monkeypatch.setattr(Trainer, "step", step)
            by()
        step(self)

    monkeypatch.setattr(Trainer, "step", stopped)


def killed():
    """As if there were no time to leave anything."""
    raise KeyboardInterrupt


def dead() -> dict:
    """The claim of a process that lives no more."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    claim = {"host": platform.node(), "pid": process.pid, "process": attempt.process(process.pid), "step": 4}
    process.wait()
    return claim


@contextmanager
def living() -> Iterator[dict]:
    """The claim of a process that lives as long as the context."""
    process = subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE)
    try:
        yield {"host": platform.node(), "pid": process.pid, "process": attempt.process(process.pid)}
    finally:
        process.communicate()


TINY = (*STOPS, "latent=bernoulli_small")


def row(directory):
    return store.read(directory)["runs"].to_pylist()[0]
