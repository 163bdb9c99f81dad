"""Bad input gets one sentence and exit status 2: no traceback, and nothing on the disk changes."""

import json
import sys

import pytest
import torch

from bench import cli
from bench.config import plugins
from bench.config.identity import identity
from bench.run import record
from bench.run.ending import Ending
from bench.run.experiment import Experiment
from bench.tables import store
from tests.support.bad_answers import answer, row
from tests.support.bad_calls import CALLS
from tests.support.bad_files import make
from tests.support.bad_lines import ALL, INTRODUCTION, LINES, PAGE
from tests.support.stand_in import instead_of_runs


@pytest.fixture(autouse=True)
def no_training(monkeypatch):
    def never(*_):
        raise AssertionError("bad input reached the training")

    monkeypatch.setattr(Experiment, "train_step", never)
    monkeypatch.delenv(cli.TRACEBACKS, raising=False)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.setattr(sys, "argv", ["bench"])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bad").resolve()
    make(folder)
    return folder


def contents(folder):
    """Every file and folder, with all that is in it."""
    return {path: path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


@pytest.mark.parametrize(("command", "line"), ALL, ids=[" ".join(words) for words in ALL])
def test_one_sentence(command, line, folder, monkeypatch):
    before = contents(folder)
    monkeypatch.syspath_prepend(folder)
    status, out, err = answer(command, line, folder)
    assert (status, out) == (2, "")
    assert len(err.splitlines()) == 1
    assert err.endswith((".\n", "?\n"))
    assert "Traceback" not in err
    assert f"\n{row(line, err, folder)}\n" in PAGE.read_text()
    assert contents(folder) == before


def test_the_page_has_these_lines_and_no_others():
    assert len(set(ALL)) == len(ALL) >= 60
    assert PAGE.read_text().startswith(INTRODUCTION)
    rows = [text for text in PAGE.read_text().splitlines() if text.startswith("|")]
    assert len(rows) == len(ALL) + 2 * len(LINES) + len(CALLS) + 2


def test_a_good_line_would_be_noticed(folder):
    before = contents(folder)
    assert answer("bench.report", "runs/good --only final_elbo --out report", folder)[0] == 0
    assert contents(folder) != before


def refused(capsys, *arguments):
    """The one sentence that the command answers."""
    assert cli.main(arguments) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert len(said.err.splitlines()) == 1
    return said.err


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without CUDA")
def test_cuda_where_there_is_none(capsys):
    assert "this machine has no CUDA device; device=cpu or device=auto runs." in refused(capsys, "device=cuda")


def test_a_run_directory_of_another_schema(capsys, tmp_path, monkeypatch):
    seen = []
    instead_of_runs(monkeypatch, lambda config, directory: seen.append((config, directory)) or Ending("done"))
    assert cli.main([f"output={tmp_path}"]) == 0
    [(config, directory)] = seen
    assert directory == tmp_path / "runs" / identity(config)
    record.record(config, directory, Ending("done"))
    marker = directory / store.MARKER
    marker.write_text(json.dumps(json.loads(marker.read_text()) | {"schema": 0}))
    capsys.readouterr()
    assert "schema 0" in refused(capsys, f"output={tmp_path}")
    marker.write_text("{")
    assert "damaged" in refused(capsys, f"output={tmp_path}")


def test_a_broken_registry_is_one_sentence_too(capsys, monkeypatch, tmp_path):
    (tmp_path / "estimator").mkdir()
    (tmp_path / "estimator" / "rloo.yaml").write_text("_target_: estimators.rloo.RLOO\n")
    monkeypatch.setattr(plugins, "CONF", tmp_path)
    assert "rename one" in refused(capsys)


def test_a_traceback_on_request(monkeypatch):
    monkeypatch.setenv(cli.TRACEBACKS, "1")
    with pytest.raises(Exception, match="rlo"):
        cli.main(["estimator=rlo"])
