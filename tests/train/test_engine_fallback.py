"""What becomes of a run that a CUDA graph cannot record."""

import pytest
import torch

from bench.errors import BadInput, CaptureFailed, Impossible
from bench.run.experiment import Experiment
from bench.run.failures import note_failure, require_gpu
from bench.run.rows import add_cost
from estimators.rloo import RLOO
from tests.support.small import run_config


def test_a_run_that_a_graph_cannot_record_is_refused_before_it_starts(monkeypatch):
    monkeypatch.setattr(RLOO, "update", lambda self, estimate: setattr(self, "k", self.k + 1))
    chosen = {"_target_": "estimators.rloo.RLOO", "k": 2}
    for name in ("graph", "compiled_graph"):
        said = (
            f"engine={name} cannot record a step of rloo, whose state k is not .*; engine=eager and engine=compile run"
        )
        with pytest.raises(Impossible, match=said):
            Experiment(run_config("bernoulli", chosen) | {"engine": name})


def test_a_run_that_a_graph_cannot_record_is_eager_where_that_was_asked_for(monkeypatch, capsys):
    monkeypatch.setattr(RLOO, "update", lambda self, estimate: setattr(self, "k", self.k + 1))
    chosen = {"_target_": "estimators.rloo.RLOO", "k": 2}
    config = run_config("bernoulli", chosen, timing={"repetitions": 1, "block": 0, "warmup": 0})
    experiment = Experiment(config | {"engine": "graph", "engine_fallback": "eager"})
    assert experiment.engine is experiment.trainer
    assert capsys.readouterr().err.endswith("; it trains by engine=eager.\n")
    add_cost(experiment)
    assert {row["engine"] for row in experiment.rows["cost"]} == {"eager"}


def test_a_failed_capture_is_one_sentence_and_takes_the_process_its_gpu(tmp_path, monkeypatch):
    monkeypatch.setattr("bench.run.failures.lost_gpu", lost := [])
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    error = CaptureFailed("The GPU could not record a training step as a graph (why); engine=eager runs.")
    assert note_failure(error, tmp_path) == str(error)
    assert lost == ["a graph was given up half recorded"]
    with pytest.raises(BadInput, match=r"without its GPU \(a graph was given up half recorded\)"):
        require_gpu()
