"""A sweep: nothing stops it, every job is a row, and a table ends it. The run itself is a stand-in here."""

from fnmatch import fnmatch
from textwrap import dedent

import pytest

from bench.sweep import job
from bench.sweep.summary import summary
from bench.tables import store
from tests.support.stand_in import files, stand_in_command


@pytest.fixture
def command(tmp_path, monkeypatch):
    return stand_in_command(tmp_path / "out", monkeypatch)


def test_interrupted(command, capsys):
    assert command("train.steps=5") == 130
    assert len(capsys.readouterr().err.splitlines()) == 1
    assert command("--multirun", "train.steps=1,5,3") == 130
    assert [config["train"]["steps"] for config in command.runs] == [5, 1, 5]


def test_nothing_stops_a_sweep_and_every_job_is_a_row(command, tmp_path, capsys):
    assert command("-m", "train.steps=2,3,4,6,7,1") == 1
    rows = [store.read(file.parent)["runs"].to_pylist()[0] for file in (tmp_path / "out").rglob(store.MARKER)]
    assert {row["status"]: row["reason"] for row in rows if row["status"] != "failed"} == {
        "done": None,
        "diverged": "The loss was not finite at step 5.",
        "skipped": "These two do not go together.",
    }
    reasons = {row["reason"] for row in rows if row["status"] == "failed"}
    assert reasons == {"It broke.", "There is no such file.", "RuntimeError: a bug in two lines"}
    [one, plan] = [file for file in files(tmp_path / "out" / "runs") if "/" not in file]
    assert (one, fnmatch(plan, "sweep_????????.json")) == ("multirun.yaml", True)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines[:6]] == [
        f"{n}/6 train.steps={steps}" for n, steps in enumerate([2, 3, 4, 6, 7, 1], 1)
    ]
    assert "skipped in" in lines[2]
    command.runs.clear()
    assert command("-m", "train.steps=2,3,4,6,7,1") == 1
    assert [config["train"]["steps"] for config in command.runs] == [2, 6, 7]  # failed ones alone


def test_a_skipped_run_alone_is_bad_input_again(command, capsys):
    assert command("-m", "train.steps=4") == 0
    assert command("train.steps=4") == 2
    assert capsys.readouterr().err == "These two do not go together.\n"


def test_a_job_with_a_bad_value_does_not_stop_a_sweep(command, capsys):
    assert command("-m", "train.steps=-1,1") == 1
    assert [config["train"]["steps"] for config in command.runs] == [1]
    assert "train.steps needs a whole number from 0 to 1073741824; got -1." in capsys.readouterr().out


def test_a_typed_value_is_refused_before_the_first_job(command, capsys):
    assert command("-m", "train.steps=1", "estimator.k=2,abc") == 2
    assert command.runs == []
    assert "'abc'" in capsys.readouterr().err


def test_the_table_at_the_end(command, tmp_path, capsys):
    assert command("-m", "train.steps=1,3", "estimator=rloo") == 0
    *_, head, done, diverged, following = capsys.readouterr().out.splitlines()
    assert head.split()[:5] == ["run", "estimator", "family", "seed", "status"]
    [directory] = [f.parent for f in (tmp_path / "out").rglob("objective.parquet")]
    wanted = [directory.name, "rloo", "bernoulli", "0", "done", "-12.35", "-2.00", "2.50"]
    assert summary(directory) == done.split() == wanted
    assert diverged.split()[4:] == ["diverged", "-", "-", "-"]
    assert following == f"python -m bench.report {directory.parent} draws it."


def test_a_file_may_hold_the_sweep(command, tmp_path):
    (tmp_path / "mine" / "experiment").mkdir(parents=True)
    (tmp_path / "mine" / "experiment" / "both.yaml").write_text(
        dedent("""\
        # @package _global_
        train: {steps: 1}
        hydra: {mode: MULTIRUN, sweeper: {params: {seed: "1,2"}}}
        """)
    )
    assert command("--config-dir", str(tmp_path / "mine"), "experiment=both") == 0
    assert [config["seeds"]["model"] for config in command.runs] == [1, 2]


def test_a_job_in_another_process_raises_so_that_its_launcher_knows(command, monkeypatch, capsys):
    class Elsewhere(job.Session):
        def __init__(self):
            super().__init__()
            self.process = -1

    monkeypatch.setattr(job, "Session", Elsewhere)
    assert command("-m", "train.steps=2") == 1
    assert capsys.readouterr().err.splitlines()[-1] == "It broke."
