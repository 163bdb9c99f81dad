"""Seeds that are trained at once and stopped anywhere have the tables of those that were not, to the bit."""

import json
import signal

import pytest
import torch

from bench.config.identity import replica
from bench.run import attempt, resume
from bench.run.ending import Ending, place
from bench.run.guard import Guard
from bench.run.seeds import runs
from bench.tables import store
from bench.train.replicas import Replicas
from tests.support.runs import numbers
from tests.support.stopped import STOPS, chosen, dead, killed, living, stopping

CASES = {
    "nvil": (
        *("latent=categorical_small", "estimator=nvil", "measure.papers=true", "train.optimiser=adamw"),
        *("train.weight_decay=0.1", "train.schedule=step", "train.decay_steps=3", "train.clip_norm=0.5"),
    ),
    "annealed": ("latent=bernoulli_small", "estimator=gumbel_softmax_annealed", "train.optimiser=radam"),
    "ema": ("latent=vq_ema", "latent.restart=0.5", "estimator=vq_straight_through", "dtype=float64"),
}


def settings(case: str, output, *more: str) -> dict:
    return chosen(*STOPS, *CASES[case], "replicas=3", *more) | {"output": str(output)}


def tables_of(ended: list[Ending]) -> list[dict]:
    """The numbers of all seeds; not the configuration, which says where they lie."""
    assert [finished.status for finished in ended] == ["done"] * 3
    found = [numbers(finished.directory) for finished in ended]
    assert all(each["runs"][0].pop("config") for each in found)
    assert all(each["gradient"] and each["objective"] for each in found)
    return found


@pytest.mark.parametrize("case", CASES)
def test_seeds_interrupted_again_and_again_have_the_same_tables(case, tmp_path, monkeypatch, capsys):
    whole = tables_of(runs(settings(case, tmp_path / "a"), many=True))
    for at, by in ((0, killed), (4, killed), (5, lambda: signal.raise_signal(signal.SIGTERM)), (11, killed)):
        stopping(monkeypatch, at, by)
        with pytest.raises(KeyboardInterrupt):
            runs(settings(case, tmp_path / "b"), many=True)
        claims = [attempt.read(path.parent) for path in tmp_path.glob(f"b/*/*/{attempt.FILE}")]
        assert [(claim["pid"], claim["step"]) for claim in claims] == [(None, at + (by is not killed))] * 3
        assert not list(tmp_path.rglob("b/**/" + store.MARKER))
    ended = runs(settings(case, tmp_path / "b"), many=True)
    assert tables_of(ended) == whole
    told = [line.rpartition(" ")[2] for line in capsys.readouterr().err.splitlines()]
    assert told == ["0.", "4.", "6.", "11."]
    left = {file.name for finished in ended for file in finished.directory.iterdir()}
    assert not left & {attempt.FILE, attempt.RESUME}


@pytest.mark.parametrize("part", ["noise", "seeds", "optimisers", "step"])
def test_every_part_of_the_state_counts(part, tmp_path, monkeypatch):
    whole = tables_of(runs(settings("nvil", tmp_path / "a"), many=True))
    for at in (0, 7):
        stopping(monkeypatch, at)
        with pytest.raises(KeyboardInterrupt):
            runs(settings("nvil", tmp_path / ("b" if at else "start")), many=True)
    [path] = tmp_path.rglob("start/**/" + attempt.RESUME)
    start, load = resume.read_state(path.parent, settings("nvil", tmp_path)), resume.read_state
    assert start["step"] == 1
    monkeypatch.setattr(resume, "read_state", lambda *args: load(*args) | {part: start[part]})
    assert tables_of(runs(settings("nvil", tmp_path / "b"), many=True)) != whole


def test_a_seed_that_has_diverged_stays_so(tmp_path, monkeypatch):
    update = Replicas.update

    def poisoned(self, given):
        update(self, given)
        if self.step_count == 2 and given.loss.requires_grad:
            with torch.no_grad():
                self.learned[0][1].fill_(float("nan"))

    monkeypatch.setattr(Replicas, "update", poisoned)
    stopping(monkeypatch, 8)
    with pytest.raises(KeyboardInterrupt):
        runs(settings("nvil", tmp_path), many=True)
    [path] = tmp_path.rglob(attempt.RESUME)
    assert list(json.loads(resume.read_state(path.parent, settings("nvil", tmp_path))["endings"])) == ["1"]
    ended = runs(settings("nvil", tmp_path), many=True)
    assert [finished.status for finished in ended] == ["done", "diverged", "done"]
    assert ended[1].reason == "The loss was not finite at step 3."
    assert store.read_one(ended[1].directory, "runs")["step"].to_pylist() == [4]


def test_with_more_time_the_same_command_continues(tmp_path, monkeypatch, capsys):
    whole = tables_of(runs(settings("annealed", tmp_path / "a"), many=True))
    config = settings("annealed", tmp_path / "b")
    seconds = Guard.seconds
    monkeypatch.setattr(Guard, "seconds", lambda self: float(self.training.trainer.step_count))
    ended = runs(config | {"sweep": config["sweep"] | {"time_limit": 5.0}}, many=True)
    assert {finished.reason for finished in ended} == {
        "Time limit of 5 s reached at step 5; the same command with a larger sweep.time_limit continues."
    }
    monkeypatch.setattr(Guard, "seconds", seconds)
    assert tables_of(runs(config, many=True)) == whole
    assert capsys.readouterr().err.endswith("continues at step 5.\n")


def test_a_seed_that_another_process_works_on_is_left_to_it(tmp_path):
    config = settings("annealed", tmp_path)
    whole = tables_of(runs(config | {"output": str(tmp_path / "whole")}, many=True))
    theirs = place(replica(config, 1))
    with living() as claim:
        theirs.mkdir(parents=True)
        (theirs / attempt.FILE).write_text(json.dumps(claim))
        ended = runs(config, many=True)
        assert [finished.status for finished in ended] == ["done", "running", "done"]
        assert f"process {claim['pid']} of" in ended[1].reason
        assert [file.name for file in theirs.iterdir()] == [attempt.FILE]
        assert all(not (finished.directory / attempt.FILE).exists() for finished in (ended[0], ended[2]))
    (theirs / attempt.FILE).write_text(json.dumps(dead()))
    assert tables_of(runs(config, many=True)) == whole
