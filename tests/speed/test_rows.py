"""A row that cannot be measured leaves the others, and the next call measures what is missing."""

import pandas as pd
import pytest
import torch

from bench.speed import command, options, rows
from bench.speed.handwritten import FUNCTIONS
from bench.speed.rows import Rows

ENGINES = ["eager", "compile", "graph"]
TIMES = {"ours": 1.0, "reference": 2.0, "ratio": 2.0}


@pytest.fixture
def asked(monkeypatch):
    """The engines whose steps were timed, in a command of steps alone; `compile` is broken."""
    asked: list[str] = []

    def timed(engine):
        asked.append(engine)
        if engine == "compile":
            raise RuntimeError("Expected all tensors to be\non the same device")
        return [TIMES | {"q1": 1.9, "q3": 2.1}]

    def step_rows(device, rounds):
        about = {"what": "steps", "estimator": "rloo", "family": "bernoulli", "size": 1, "unit": "s"}
        for name in ENGINES:
            yield Rows([about | {"engine": name}], lambda name=name: timed(name))

    monkeypatch.setattr(command, "step_rows", step_rows)
    monkeypatch.setattr(command, "layered_rows", lambda *_: ())
    monkeypatch.setattr(command, "bandwidth", lambda device: 1.0)
    monkeypatch.setattr(rows, "lost_gpu", [])
    return asked


@pytest.fixture
def words(tmp_path):
    return ["--device", "cpu", "--threads", "1", "--out", str(tmp_path), "--only", "steps"]


def test_what_fails_leaves_the_other_rows_and_is_said_at_the_end(tmp_path, asked, words, capsys):
    assert command.main(words) == 1
    said = capsys.readouterr()
    why = "RuntimeError: Expected all tensors to be on the same device"
    assert said.out.splitlines()[-1] == f"Not measured: steps, rloo, 1, compile: {why}"
    assert not said.err
    assert [*pd.read_csv(tmp_path / "speed.csv").engine] == ["eager", "graph"]


def test_the_next_call_measures_what_is_missing(tmp_path, asked, words, monkeypatch, capsys):
    command.main(words)
    asked.clear()
    assert command.main([*words, "--continue"]) == 1
    assert asked == ["compile"]
    first = pd.read_csv(tmp_path / "speed.csv")
    assert [*first.engine] == ["eager", "graph"]
    asked.clear()
    command.main(words)  # without --continue all is measured
    assert asked == ENGINES
    asked.clear()
    monkeypatch.setattr(command, "commit", lambda: "another")
    command.main([*words, "--continue"])
    assert asked == ENGINES
    assert {*pd.read_csv(tmp_path / "speed.csv").commit} == {"another"}
    capsys.readouterr()


def test_a_table_that_cannot_be_read_is_measured_anew(tmp_path, asked, words, capsys):
    (tmp_path / "speed.parquet").write_bytes(b"PAR1")
    command.main([*words, "--continue"])
    assert asked == ENGINES
    capsys.readouterr()


def test_where_nothing_could_be_measured_there_is_no_table(tmp_path, asked, words, monkeypatch, capsys):
    monkeypatch.setattr("tests.speed.test_rows.ENGINES", ["compile"])
    assert command.main(words) == 1
    assert not [*tmp_path.iterdir()]
    capsys.readouterr()


def test_a_lost_gpu_ends_it(asked, words, monkeypatch, capsys):
    monkeypatch.setattr(rows, "lost_gpu", ["illegal memory access"])
    assert command.main(words) == 1
    assert asked == ["eager", "compile"]
    assert "The GPU is lost to this process" in capsys.readouterr().out


@pytest.mark.parametrize("name", FUNCTIONS)
def test_what_is_written_by_hand_stays_on_the_device(name):
    """On a device without memory, where tensors of the processor are a mistake as they are on a GPU."""
    family, function = FUNCTIONS[name]
    params = options.latent(family, 2, torch.device("cpu")).params.detach().to("meta").requires_grad_()
    loss = function(params, lambda z: z.flatten(3).sum(-1))
    [gradient] = torch.autograd.grad(loss.sum(), params)
    assert (loss.device.type, gradient.shape) == ("meta", params.shape)
