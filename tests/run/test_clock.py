"""The training's clock on a device that works behind the host's back, and how often the host waits for it."""

import time

import pytest

from bench import machine
from bench.run.seeds import runs
from bench.tables import store
from bench.train.trainer import LOSSES_KEPT, Trainer
from estimators.disarm import Disarm
from tests.support.runs import config

HOST, DEVICE = 0.001, 0.12  # seconds of a step: to ask for it, and to do it
STEPS = 50
WORDS = (
    f"train.steps={STEPS}", "train.batch_size=20", "evaluate.at=[0,0.5,1]", "measure.at=[]", "timing.repetitions=0",
    "evaluate.prior_samples=0", "model.hidden=[4]", "latent=bernoulli_small", "sweep.checkpoint_seconds=null",
)  # fmt: skip


class Queue:
    """A host's clock, and a device that does one thing after the other."""

    def __init__(self) -> None:
        self.now, self.free, self.waits = 0.0, 0.0, 0

    def ask(self) -> None:
        """Ask for a step."""
        self.now += HOST
        self.free = max(self.now, self.free) + DEVICE

    def wait(self, device: object) -> None:
        """Until the device has nothing left to do."""
        self.waits += 1
        self.now = max(self.now, self.free)


@pytest.fixture
def queue(monkeypatch) -> Queue:
    queue = Queue()
    monkeypatch.setattr(time, "perf_counter", lambda: queue.now)
    monkeypatch.setattr(machine, "wait", queue.wait)
    step = Trainer.step  # that of replicas too

    def asked(self):
        queue.ask()
        step(self)

    monkeypatch.setattr(Trainer, "step", asked)
    return queue


@pytest.mark.parametrize("replicas", [1, 2])
def test_seconds_are_those_of_the_device_and_the_host_waits_at_stops_alone(replicas, queue, tmp_path):
    endings = runs(config(*WORDS, f"replicas={replicas}", f"output={tmp_path}"), many=True)
    assert [ending.status for ending in endings] == ["done"] * replicas
    for ending in endings:
        rows = store.read_one(ending.directory, "objective").to_pylist()
        seconds = {row["step"]: row["seconds"] for row in rows}
        assert seconds[0] == 0
        assert seconds[STEPS // 2] == pytest.approx(STEPS // 2 * DEVICE + HOST)
        assert seconds[STEPS] == pytest.approx(STEPS * DEVICE + 2 * HOST)  # 6.0; the host alone says 0.05
    assert queue.waits == 2  # at steps 25 and 50, and not in each


def test_between_stops_the_host_waits_once_in_as_many_steps_as_losses_are_kept(queue, tmp_path):
    words = (*WORDS[1:], f"train.steps={3 * LOSSES_KEPT}", "evaluate.at=[0]")
    runs(config(*words, f"output={tmp_path}"), many=True)
    assert queue.waits == 3


def test_the_estimator_of_a_run_is_built_once(monkeypatch, tmp_path):
    built, build = [], Disarm.__init__
    monkeypatch.setattr(Disarm, "__init__", lambda self, **hyper: (built.append(self), build(self, **hyper))[1])
    chosen = config(*WORDS, "estimator=disarm", f"output={tmp_path}")
    built.clear()
    [ending] = runs(chosen, many=True)
    assert (ending.status, len(built)) == ("done", 1)
