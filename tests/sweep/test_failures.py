"""What a sweep says of its failures, and of runs that another process works on."""

import json
import platform
import re

import pytest

from bench.run import attempt
from bench.tables import store
from tests.support.stand_in import stand_in_command
from tests.support.stopped import living


@pytest.fixture
def command(tmp_path, monkeypatch):
    return stand_in_command(tmp_path / "out", monkeypatch)


def test_the_first_failure_ends_a_sweep_if_asked(command, capsys):
    assert command("-m", "train.steps=1,2,3,1", "seed=0", "sweep.fail_fast=true") == 1
    assert [config["train"]["steps"] for config in command.runs] == [1, 2]
    said = capsys.readouterr()
    assert said.err == "sweep.fail_fast=true: a run failed, and 2 jobs were not started.\n"
    assert "1 failed:" in said.out
    command.runs.clear()
    assert command("-m", "train.steps=1,2,3", "seed=0") == 1
    assert [config["train"]["steps"] for config in command.runs] == [2, 3]


def test_the_end_of_a_sweep_names_every_reason_for_a_failure_once(command, tmp_path, capsys):
    assert command("-m", "train.steps=1,2,6,-1", "seed=0,1,2") == 1
    *_, title, broken, missing, refused, following = capsys.readouterr().out.splitlines()
    assert title == "9 failed:"
    assert re.fullmatch(rf"  {tmp_path}/out/runs/\w+ and 2 more: It broke\.", broken)
    assert missing.endswith(" and 2 more: There is no such file.")
    assert (
        refused
        == "  a job that could not start and 2 more: train.steps needs a whole number from 0 to 1073741824; got -1."
    )
    assert following == f"python -m bench.report {tmp_path / 'out' / 'runs'} draws them."
    assert command("-m", "train.steps=2", "seed=0") == 1  # with nothing to draw
    assert re.fullmatch(rf"  {tmp_path}/out/runs/\w+: It broke\.", capsys.readouterr().out.splitlines()[-1])


def test_a_sweep_leaves_to_another_process_what_it_works_on(command, tmp_path, capsys):
    assert command("-m", "train.steps=1,3") == 0
    [directory] = [f.parent for f in tmp_path.rglob("objective.parquet")]
    (directory / store.MARKER).unlink()
    command.runs.clear()
    with living() as claim:
        (directory / attempt.FILE).write_text(json.dumps(claim))
        assert command("-m", "train.steps=1,3") == 0
    assert command.runs == []
    said = capsys.readouterr().out
    assert f"already running: process {claim['pid']} of {platform.node()} works on it." in said
    assert said.splitlines()[-1] == "1 left to another process, which works on them."
