"""A run that was stopped anywhere and started again has the tables of one that was not, to the bit."""

import signal

import pytest
import torch

from bench.run import attempt, resume, rows
from bench.run.experiment import Experiment
from bench.run.images import IMAGES_FILE
from bench.run.single import run
from bench.run.state import State
from bench.tables import store
from bench.train.trainer import Trainer
from estimators.rloo import RLOO
from tests.support.runs import numbers
from tests.support.stopped import REBAR, STOPS, chosen, killed, stopping, whole

CASES = {
    "nvil": ("latent=categorical_small", "estimator=nvil"),
    "rebar": REBAR[len(STOPS) :],
    "moving average": ("latent=bernoulli_small", "estimator=reinforce_moving_average", "train.optimiser=radam"),
    "annealed": ("latent=categorical_small", "estimator=gumbel_softmax_annealed", "train.optimiser=sgd"),
    "scheduled": (
        *("latent=categorical_small", "estimator=nvil", "train.optimiser=nadam", "train.weight_decay=0.1"),
        *("train.schedule=warmup_cosine", "train.warmup=6", "train.clip_norm=0.5"),
    ),
    "relax": ("latent=bernoulli_small", "estimator=relax"),
    "problem": ("problem=bernoulli_bits", "estimator=reinforce_moving_average"),
    "ema": ("latent=vq_ema", "latent.restart=0.5", "estimator=vq_straight_through"),
}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """The numbers of rebar's run."""
    return whole(tmp_path_factory.mktemp("undisturbed"))


@pytest.mark.parametrize("case", CASES)
def test_a_run_interrupted_again_and_again_has_the_same_tables(case, tmp_path, monkeypatch, capsys):
    network = "model." if case == "problem" else "nothing"  # a problem has none
    settings = chosen(*(word for word in STOPS if not word.startswith(network)), *CASES[case])
    assert run(settings, tmp_path / "a").status == "done"
    for at, by in ((0, killed), (4, killed), (5, lambda: signal.raise_signal(signal.SIGTERM)), (11, killed)):
        stopping(monkeypatch, at, by)
        with pytest.raises(KeyboardInterrupt):
            run(settings, tmp_path / "b")
        assert not (tmp_path / "b" / store.MARKER).exists()
    assert run(settings, tmp_path / "b").status == "done"
    assert numbers(tmp_path / "a") == numbers(tmp_path / "b")
    told = [line.rpartition(" ")[2] for line in capsys.readouterr().err.splitlines()]
    assert told == ["0.", "4.", "6.", "11."]  # a signal waits for the end of the step
    left = {file.name for file in (tmp_path / "b").iterdir()}
    pictures = set() if case == "problem" else {IMAGES_FILE}
    assert left == {store.MARKER, "runs.parquet", "objective.parquet", "gradient.parquet", "cost.parquet"} | pictures


def twice(number: signal.Signals):
    signal.raise_signal(number)
    signal.raise_signal(number)


@pytest.mark.parametrize(("number", "written"), [(signal.SIGTERM, True), (signal.SIGINT, False)])
def test_of_two_signals_in_a_step_the_second_counts_only_from_a_keyboard(number, written, tmp_path, monkeypatch):
    save = resume.write_state

    def disturbed(*args):
        signal.raise_signal(signal.SIGTERM)
        save(*args)

    monkeypatch.setattr(resume, "write_state", disturbed)
    stopping(monkeypatch, 5, lambda: twice(number))
    with pytest.raises(KeyboardInterrupt):
        run(chosen(*REBAR, "sweep.checkpoint_seconds=100"), tmp_path)
    assert (tmp_path / attempt.RESUME).exists() == written


@pytest.mark.parametrize("what", ["evaluate", "measure", "time"])
def test_an_interruption_between_the_steps_is_at_once_and_repeats_no_row(what, undisturbed, tmp_path, monkeypatch):
    name = "add_cost" if what == "time" else what
    work, calls = getattr(rows, name), []

    def interrupted(*args, **kwargs):
        done = work(*args, **kwargs)
        calls.append(what)
        if len(calls) == (1 if what == "time" else 2):
            torch.randn(3)
            signal.raise_signal(signal.SIGINT)
        return done

    monkeypatch.setattr(rows, name, interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(chosen(*REBAR, "sweep.checkpoint_seconds=100"), tmp_path)
    assert (tmp_path / attempt.RESUME).exists()
    run(chosen(*REBAR), tmp_path)
    assert numbers(tmp_path) == undisturbed


def exchanged(held: dict, start: dict, part: str) -> dict:
    """The state with one part, of the training or of its seed, as it was at the start."""
    if part in held:
        return held | {part: start[part]}
    return held | {"seeds": [held["seeds"][0] | {part: start["seeds"][0][part]}]}


@pytest.mark.parametrize("part", ["noise", "batches", "optimisers", "estimator", "model", "moving", "rows", "step"])
def test_every_part_of_the_state_counts(part, undisturbed, tmp_path, monkeypatch):
    settings, load = chosen(*REBAR), resume.read_state
    fresh = Experiment(settings)
    with fresh.noise():
        start = State(fresh).take()
    stopping(monkeypatch, 7)
    with pytest.raises(KeyboardInterrupt):
        run(settings, tmp_path)
    monkeypatch.setattr(resume, "read_state", lambda *args: exchanged(load(*args), start, part))
    assert run(settings, tmp_path).status == "done"
    assert numbers(tmp_path) != undisturbed


def test_the_losses_are_looked_at_across_an_interruption(tmp_path, monkeypatch):
    def poison():
        step = Trainer.step

        def poisoned(self):
            step(self)
            if self.step_count == 8:
                self.losses[7] = float("nan")

        monkeypatch.setattr(Trainer, "step", poisoned)

    settings = chosen(*STOPS, "measure.at=[0,1]", "evaluate.at=[0,1]")
    poison()
    stopping(monkeypatch, 9)
    with pytest.raises(KeyboardInterrupt):
        run(settings, tmp_path)
    assert run(settings, tmp_path).reason == "The loss was not finite at step 7."
    assert not (tmp_path / attempt.RESUME).exists()


class Counting(RLOO):
    """Weighs the loss by how often it was updated, which a plain number knows."""

    def __init__(self, kind: str = "number"):
        super().__init__(k=2)
        self.updates, self.recent = 0, [1.0]
        if kind == "set":
            self.seen = {0}

    def forward(self, q, cost, x):
        estimate = super().forward(q, cost, x)
        return estimate._replace(loss=estimate.loss * (1 + self.updates / 10) * self.recent[-1])

    def update(self, estimate):
        self.updates += 1
        self.recent = [*self.recent, 1.0 + self.updates / 7][-3:]


@pytest.mark.parametrize("kind", ["number", "set"])
def test_plain_attributes_are_state_and_what_no_file_can_hold_is_told(kind, tmp_path, monkeypatch, capsys):
    settings = chosen(*STOPS) | {"estimator": {"_target_": "tests.run.test_resume.Counting", "kind": kind}}
    run(settings, tmp_path / "a")
    stopping(monkeypatch, 5)
    with pytest.raises(KeyboardInterrupt):
        run(settings, tmp_path / "b")
    assert (tmp_path / "b" / attempt.RESUME).exists() == (kind == "number")
    run(settings, tmp_path / "b")
    assert numbers(tmp_path / "a") == numbers(tmp_path / "b")
    assert ("resume.pt is not written: seen is a set in the estimator" in capsys.readouterr().err) == (kind == "set")


def test_an_interrupted_run_leaves_its_claim_as_a_note(tmp_path, monkeypatch):
    stopping(monkeypatch, 7)
    with pytest.raises(KeyboardInterrupt):
        run(chosen(*REBAR), tmp_path)
    left = attempt.read(tmp_path)
    assert (left["pid"], left["step"], left["steps"]) == (None, 8, 12)
    assert left["label"] == "rebar on bernoulli, seed 0"
    assert attempt.worker(tmp_path) is None
