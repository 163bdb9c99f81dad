"""The same command after a change of the code: what is done again, what is left, and that both are said."""

import json

import pytest

from bench import status
from bench.config import code
from bench.run import attempt, ending, record
from bench.run.ending import Ending
from bench.tables import store
from tests.support.stand_in import stand_in_command


@pytest.fixture
def command(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    return stand_in_command(tmp_path / "out", monkeypatch)


@pytest.fixture
def by(monkeypatch):
    """Let the code that is here have this digest."""

    def named(digest):
        for module in (ending, record):
            monkeypatch.setattr(module, "made_by", lambda config: digest)

    named("a")
    return named


ALL = ("-m", "train.steps=1,2,3,4")  # done, failed, diverged, skipped


@pytest.mark.parametrize(("retry", "again"), [("changed", [1, 2, 3, 4]), ("failed", [2]), ("keep", [])])
def test_what_other_code_made_is_done_again_or_left_and_both_are_said(retry, again, command, by, capsys, tmp_path):
    command(*ALL)
    by("b")
    command.runs.clear()
    capsys.readouterr()
    command(*ALL, f"sweep.retry={retry}")
    assert [config["train"]["steps"] for config in command.runs] == again
    lines = capsys.readouterr().out.splitlines()
    made = {json.loads(r["config"])["train"]["steps"]: r["code"] for r in rows(tmp_path)}
    assert made == {steps: "b" if steps in again else "a" for steps in (1, 2, 3, 4)}
    said = [line for line in lines if " had been made by other code, " in line]
    if retry == "changed":
        assert lines[0].startswith("1/4 train.steps=1: done in ")
        assert lines[0].endswith(" (again, since it was made by other code)")
        assert [line.partition(":")[0] for line in said] == ["3 had been made by other code, and done again"]
    else:
        assert lines[0] == "1/4 train.steps=1: already done (made by other code)"
        left = "3 had been made by other code, and left" if again else "4 had been made by other code, and left"
        assert [line.partition(":")[0] for line in said] == [left]
    capsys.readouterr()
    command(*ALL, "sweep.retry=changed")
    assert len(command.runs) == len(again) + (1 if retry == "changed" else 4)  # the failed one, or all
    assert "other code" not in (capsys.readouterr().out if retry == "changed" else "")


def rows(folder):
    return [store.read(marker.parent)["runs"].to_pylist()[0] for marker in folder.rglob(store.MARKER)]


def test_one_run_says_so_before_it_begins(command, by, capsys):
    command("train.steps=1")
    by("b")
    capsys.readouterr()
    assert command("train.steps=1") == 0
    out, err = capsys.readouterr()
    assert err.endswith(" was made by other code: it is done again.\n")
    assert out.splitlines()[0].endswith(" (again, since it was made by other code)")
    by(None)  # whose source is not to be had
    assert command("train.steps=1") == 0
    assert len(command.runs) == 2


def test_what_was_made_before_code_was_recorded_is_kept(command, by, capsys, tmp_path):
    by(None)
    command("-m", "train.steps=1,3")
    by("b")
    capsys.readouterr()
    command("-m", "train.steps=1,3")
    out = capsys.readouterr().out.splitlines()
    assert out[0] == "1/2 train.steps=1: already done (made before code was recorded)"
    assert out[2].startswith("2 had been made before code was recorded, and left: ")
    assert out[-1].endswith(" draws it.")  # whatever else was said
    assert len(command.runs) == 2
    assert {row["code"] for row in rows(tmp_path)} == {None}
    assert status.main([str(tmp_path)]) == 0
    assert "1 done: made before code was recorded (" in capsys.readouterr().out


def test_the_status_counts_what_the_same_command_does_again(command, by, capsys, tmp_path):
    command(*ALL)
    by("b")
    capsys.readouterr()
    assert status.main([str(tmp_path), "--json"]) == 1
    [told] = json.loads(capsys.readouterr().out).values()
    assert {state: n for state, n in told["states"].items() if n} == {"failed": 1, "changed": 3}
    assert list(told["commands"].values()) == [{"failed": 1, "changed": 3}]
    command(*ALL, "sweep.retry=keep")
    capsys.readouterr()
    assert status.main([str(tmp_path), "--json"]) == 1  # the failed one
    [told] = json.loads(capsys.readouterr().out).values()
    assert {state: n for state, n in told["states"].items() if n} == dict.fromkeys(
        ("done", "failed", "diverged", "skipped"), 1
    )
    reasons = [run["reason"] for run in told["runs"].values() if run["state"] != "failed"]
    assert all(reason.endswith("made by other code") for reason in reasons)


def test_a_process_that_is_lost_while_a_run_is_done_again_leaves_a_failure(command, by, tmp_path):
    command("train.steps=1")
    [config] = command.runs
    directory = ending.place(config)
    assert record.record_lost(config, directory, "It was killed.").status == "done"  # by this code: it was at its end
    by("b")
    left = config | {"sweep": config["sweep"] | {"retry": "keep"}}
    assert record.record_lost(left, directory, "It was killed.").status == "done"
    assert record.record_lost(config, directory, "It was killed.").status == "failed"
    assert rows(tmp_path)[0]["reason"] == "It was killed."


def test_a_run_that_resumes_with_other_code_starts_anew(command, by, tmp_path, monkeypatch, capsys):
    from bench.run import resume

    command("train.steps=1")
    [config] = command.runs
    for digest in ("a", "b"):
        monkeypatch.setattr(resume, "made_by", lambda config, digest=digest: digest)
        if digest == "a":
            resume.write_state(tmp_path, config, {"step": 1})
            assert resume.read_state(tmp_path, config) == {"step": 1}
    assert resume.read_state(tmp_path, config) is None
    assert "is of another code: a, where b is needed; the run starts anew." in capsys.readouterr().err
    assert (tmp_path / attempt.RESUME).is_file()


def test_the_digest_is_computed_once_however_many_runs_ask(monkeypatch):
    config = {"estimator": {"_target_": "estimators.disarm.Disarm"}, "measure": {"reference": "none"}}
    first = code.made_by(config)
    monkeypatch.setattr(code, "source_of", lambda *_: pytest.fail("a source is read again"))
    assert {code.made_by(config | {"seed": seed}) for seed in range(2000)} == {first}


def test_an_ending_says_what_was_there():
    assert ending.line("x", Ending("done", already=True, former=ending.OTHER)) == "x: already done (made by other code)"
