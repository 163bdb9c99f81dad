"""A run that was stopped anywhere and started again has the tables of one that was not, to the bit."""

import hashlib
import io
import pickle
import signal
from functools import cache

import pytest
import torch

from bench import attempt, experiment, resume, tables
from bench.experiment import Experiment
from bench.run import run
from bench.train import Trainer
from estimators.rloo import RLOO
from tests.test_checkpoint import Runs
from tests.test_run import config, numbers

STOPS = (
    "measure.at=[0,0.5,1]", "evaluate.at=[0,0.3,1]", "measure.draws=2", "measure.batch_size=10", "model.hidden=[8]",
    "evaluate.prior_samples=0", "timing.repetitions=0", "train.batch_size=200", "sweep.checkpoint_seconds=0",
)  # fmt: skip
CASES = {
    "nvil": ("latent=categorical_small", "estimator=nvil"),
    "rebar": ("latent=bernoulli_small", "estimator=rebar", "dtype=float64"),
    "moving average": ("latent=bernoulli_small", "estimator=reinforce_moving_average", "train.optimiser=radam"),
    "annealed": ("latent=categorical_small", "estimator=gumbel_softmax_annealed", "train.optimiser=sgd"),
    "relax": ("latent=bernoulli_small", "estimator=relax"),
    "ema": ("latent=vq_ema", "latent.restart=0.5", "estimator=vq_straight_through"),
}
REBAR = (*STOPS, *CASES["rebar"])


@cache
def chosen(*words: str) -> dict:
    return config(*words)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """The numbers of rebar's run."""
    directory = tmp_path_factory.mktemp("undisturbed")
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


@pytest.mark.parametrize("case", CASES)
def test_a_run_interrupted_again_and_again_has_the_same_tables(case, tmp_path, monkeypatch, capsys):
    settings = chosen(*STOPS, *CASES[case])
    assert run(settings, tmp_path / "a").status == "done"
    for at, by in ((0, killed), (4, killed), (5, lambda: signal.raise_signal(signal.SIGTERM)), (11, killed)):
        stopping(monkeypatch, at, by)
        with pytest.raises(KeyboardInterrupt):
            run(settings, tmp_path / "b")
        assert not (tmp_path / "b" / tables.MARKER).exists()
    assert run(settings, tmp_path / "b").status == "done"
    assert numbers(tmp_path / "a") == numbers(tmp_path / "b")
    told = [line.rpartition(" ")[2] for line in capsys.readouterr().err.splitlines()]
    assert told == ["0.", "4.", "6.", "11."]  # a signal waits for the end of the step
    left = {file.name for file in (tmp_path / "b").iterdir()}
    assert left == {tables.MARKER, "runs.parquet", "objective.parquet", "gradient.parquet", "cost.parquet"}


@pytest.mark.parametrize("what", ["evaluate", "measure", "time"])
def test_an_interruption_between_the_steps_is_at_once_and_repeats_no_row(what, undisturbed, tmp_path, monkeypatch):
    place = Experiment if what == "time" else experiment
    work, calls = getattr(place, what), []

    def interrupted(*args, **kwargs):
        done = work(*args, **kwargs)
        calls.append(what)
        if len(calls) == (1 if what == "time" else 2):
            torch.randn(3)
            signal.raise_signal(signal.SIGINT)
        return done

    monkeypatch.setattr(place, what, interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(chosen(*REBAR, "sweep.checkpoint_seconds=100"), tmp_path)
    assert (tmp_path / resume.FILE).exists()
    run(chosen(*REBAR), tmp_path)
    assert numbers(tmp_path) == undisturbed


@pytest.mark.parametrize("part", ["noise", "batches", "optimisers", "estimator", "model", "rows", "step"])
def test_every_part_of_the_state_counts(part, undisturbed, tmp_path, monkeypatch):
    settings, load = chosen(*REBAR), resume.load
    fresh = Experiment(settings)
    with fresh.noise():
        start = resume.state(fresh, resume.noise(fresh.device), dict.fromkeys(fresh.rows, 0))
    stopping(monkeypatch, 7)
    with pytest.raises(KeyboardInterrupt):
        run(settings, tmp_path)
    monkeypatch.setattr(resume, "load", lambda *args: load(*args) | {part: start[part]})
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
    assert not (tmp_path / resume.FILE).exists()


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
    settings = chosen(*STOPS) | {"estimator": {"_target_": "tests.test_resume.Counting", "kind": kind}}
    run(settings, tmp_path / "a")
    stopping(monkeypatch, 5)
    with pytest.raises(KeyboardInterrupt):
        run(settings, tmp_path / "b")
    assert (tmp_path / "b" / resume.FILE).exists() == (kind == "number")
    run(settings, tmp_path / "b")
    assert numbers(tmp_path / "a") == numbers(tmp_path / "b")
    assert ("resume.pt is not written: seen is a set in the estimator" in capsys.readouterr().err) == (kind == "set")


# Files that are not used


def resealed(path, change):
    """The file with other content and the right digest."""
    content = torch.load(io.BytesIO(path.read_bytes()[32:]), weights_only=True)
    buffer = io.BytesIO()
    torch.save(change(content), buffer)
    path.write_bytes(hashlib.sha256(buffer.getvalue()).digest() + buffer.getvalue())


def pickled(path):
    payload = pickle.dumps(Runs(path.with_name("ran")))
    path.write_bytes(hashlib.sha256(payload).digest() + payload)


DAMAGES = {
    "truncated": (lambda p: p.write_bytes(p.read_bytes()[:-100]), "it is damaged"),
    "empty": (lambda p: p.write_bytes(b""), "it is damaged"),
    "flipped": (lambda p: p.write_bytes(p.read_bytes()[:9000] + b"flip" + p.read_bytes()[9004:]), "it is damaged"),
    "code": (pickled, "UnpicklingError"),
    "list": (lambda p: resealed(p, lambda c: [1, 2]), "AttributeError"),
    "run": (lambda p: resealed(p, lambda c: c | {"run": "0" * 12}), "it is of another run"),
    "torch": (lambda p: resealed(p, lambda c: c | {"torch": "1.0"}), "it is of another torch: 1.0, where"),
    "code of the estimators": (lambda p: resealed(p, lambda c: c | {"code of the estimators": "0"}), "it is of another code"),
    "batches": (lambda p: resealed(p, lambda c: c | {"content": c["content"] | {"batches": {}}}), "KeyError"),
    "noise": (lambda p: resealed(p, lambda c: c | {"content": c["content"] | {"noise": {}}}), "KeyError"),
    "clock": (lambda p: resealed(p, lambda c: c | {"content": c["content"] | {"elapsed": None}}), "TypeError"),
    "directory": (lambda p: (p.unlink(), p.mkdir()), "IsADirectoryError"),
}


@pytest.fixture(scope="module")
def interrupted(tmp_path_factory):
    """A run of rebar that was interrupted after 8 steps."""
    directory = tmp_path_factory.mktemp("interrupted")
    with pytest.MonkeyPatch.context() as patch:
        stopping(patch, 7)
        with pytest.raises(KeyboardInterrupt):
            run(chosen(*REBAR), directory)
    return (directory / resume.FILE).read_bytes()


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_file_that_cannot_be_trusted_is_one_line_and_the_run_starts_anew(
    damage, interrupted, undisturbed, tmp_path, capsys
):
    path, (spoil, words) = tmp_path / resume.FILE, DAMAGES[damage]
    path.write_bytes(interrupted)
    spoil(path)
    never = {"sweep": chosen(*REBAR)["sweep"] | {"checkpoint_seconds": None}}
    assert run(chosen(*REBAR) | never, tmp_path).status == "done"
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith(f"{path} is not used, since {words}")
    assert line.endswith("; the run starts anew.")
    assert not (tmp_path / "ran").exists()
    found = numbers(tmp_path)
    assert [found[name] for name in ("objective", "gradient", "cost")] == [
        undisturbed[name] for name in ("objective", "gradient", "cost")
    ]


def test_a_checkpoint_that_is_wanted_and_was_passed_is_made(interrupted, tmp_path, capsys):
    (tmp_path / resume.FILE).write_bytes(interrupted)
    assert run(chosen(*REBAR), tmp_path, checkpoints=[3, 12]).status == "done"
    assert "it is past step 3, whose checkpoint is wanted" in capsys.readouterr().err
    assert {file.name for file in tmp_path.glob("*.pt")} == {"model_step_3.pt", "model_step_12.pt"}


def test_an_interrupted_run_leaves_its_claim_as_a_note(tmp_path, monkeypatch):
    stopping(monkeypatch, 7)
    with pytest.raises(KeyboardInterrupt):
        run(chosen(*REBAR), tmp_path)
    left = attempt.read(tmp_path)
    assert (left["pid"], left["step"], left["steps"]) == (None, 8, 12)
    assert left["label"] == "rebar on bernoulli, seed 0"
    assert attempt.worker(tmp_path) is None
