"""How far a sweep is: every run counted once, with its reason and the command that finishes it."""

import json
import platform
import subprocess
import sys

import pytest

from bench import status
from bench.files import ROOT
from bench.report.collection.collect import collect, find
from bench.run import attempt
from bench.sweep import plan
from bench.tables import store
from tests.support.stand_in import stand_in_command
from tests.support.stopped import living


@pytest.fixture
def command(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    return stand_in_command(tmp_path / "out", monkeypatch)


def told(capsys, *words):
    """Exit status; the numbers of each experiment; the lines below; standard error."""
    capsys.readouterr()
    code = status.main([str(word) for word in words])
    out, err = capsys.readouterr()
    head, *lines = out.splitlines() or [""]
    cells = [line.split() for line in lines if len(line.split()) == len(status.STATES) + 1]
    rows = [row for row in cells if all(number == "-" or number.isdigit() for number in row[1:])]
    named = {name: dict(zip(status.STATES, (int(n.replace("-", "0")) for n in ns), strict=True)) for name, *ns in rows}
    assert not out or head.split() == ["experiment", *status.STATES]
    return code, named, lines[len(rows) :], err


def some(**counts):
    return dict.fromkeys(status.STATES, 0) | counts


def directory_of(tmp_path, steps):
    """Of the run that has so many training steps."""
    [found] = [
        marker.parent
        for marker in (tmp_path / "out").rglob(store.MARKER)
        if json.loads(store.read(marker.parent)["runs"]["config"][0].as_py())["train"]["steps"] == steps
    ]
    return found


def test_every_state_is_counted_and_explained(command, tmp_path, capsys):
    assert command("-m", "train.steps=5,8") == 130  # the stand-in is interrupted by 5
    command("-m", "train.steps=1,2,3,4,6")
    running, interrupted = directory_of(tmp_path, 1), directory_of(tmp_path, 3)
    (interrupted / store.MARKER).unlink()
    (interrupted / attempt.FILE).write_text(json.dumps({"host": platform.node(), "pid": None}))
    with living() as claim:
        about = {"step": 7, "steps": 10, "label": "rloo on bernoulli, seed 0"}
        (running / attempt.FILE).write_text(json.dumps(claim | about))
        code, named, lines, err = told(capsys, tmp_path / "out")
    assert (code, err) == (1, "")
    assert named == {"out/runs": some(running=1, failed=2, skipped=1, interrupted=1, missing=2)}
    assert lines[0] == (
        f"1 running: process {claim['pid']} of {platform.node()} is at step 7 of 10 "
        f"(rloo on bernoulli, seed 0: {running.relative_to(tmp_path)})"
    )
    broken, absent = sorted(lines[1:3])
    assert broken.startswith("1 failed: It broke. (rloo on bernoulli, seed 0: out/runs/")
    assert absent.startswith("1 failed: There is no such file. (")
    assert lines[3].startswith("1 skipped: These two do not go together. (")
    output = f"output={tmp_path}/out device=cpu"
    assert sorted(lines[4:]) == [
        f"1 interrupted, 2 failed: python -m bench -m train.steps=1,2,3,4,6 {output}",
        f"2 missing: python -m bench -m train.steps=5,8 {output}",
    ]


def test_of_many_reasons_for_a_skip_the_most_common_are_shown(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    reasons = [f"reason {min(i // 2, 4)}" for i in range(11)]  # the last has three runs
    runs = {str(i): status.RunState("skipped", reason) for i, reason in enumerate(reasons)}
    broken = {"a": status.RunState("failed", "It broke.")}
    status.show_reasons(tmp_path / "out", status.Progress(runs | broken, []))
    failed, *skipped, rest = capsys.readouterr().out.splitlines()
    assert failed.startswith("1 failed: It broke.")
    assert [line[:20] for line in skipped] == ["3 skipped: reason 4 ", "2 skipped: reason 0 ", "2 skipped: reason 1 "]
    assert rest == "4 skipped for 2 other reasons: python -m bench.report out"
    three_fewer = {key: run for key, run in runs.items() if int(key) > 2}
    status.show_reasons(tmp_path / "out", status.Progress(three_fewer, []))
    assert len(capsys.readouterr().out.splitlines()) == 4  # as many lines as a line about one more would make


def test_a_finished_sweep_has_nothing_left(command, tmp_path, capsys):
    command("-m", "train.steps=1,3")
    assert told(capsys, "out") == (
        0,
        {"out/runs": some(done=1, diverged=1)},
        [f"1 diverged: The loss was not finite at step 5. (rloo on bernoulli, seed 0: {_relative(tmp_path, 3)})"],
        "",
    )
    command("-m", "train.steps=1,3", "name=other")
    assert told(capsys, "out")[1].keys() == {"out/other", "out/runs"}
    assert told(capsys, "out/other")[1] == {"out/other": some(done=1, diverged=1)}


def _relative(tmp_path, steps):
    return directory_of(tmp_path, steps).relative_to(tmp_path)


def test_what_may_be_damaged_is_told_and_breaks_nothing(command, tmp_path, capsys):
    command("-m", "train.steps=1,2")
    directory = directory_of(tmp_path, 1)
    (directory / "runs.parquet").write_bytes(b"PAR1")
    (directory / attempt.FILE).write_text("[")
    (directory.parent / "sweep_00000000.json").write_text("{}")
    (directory.parent / "sweep_00000001.json").write_text("half")
    code, named, lines, err = told(capsys, "out")
    assert (code, err, named) == (1, "", {"out/runs": some(failed=2)})
    assert any("runs.parquet is missing, truncated or not as it was written" in line for line in lines)


def test_a_job_with_a_bad_value_is_a_failure_that_was_not_started(command, capsys):
    command("-m", "train.steps=1,-1")
    code, named, lines, _ = told(capsys, "out")
    assert (code, named) == (1, {"out/runs": some(done=1, failed=1)})
    assert lines == [
        "1 failed: train.steps needs a whole number from 0 to 1073741824; got -1. (train.steps=-1: not started)"
    ]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["nowhere"], "python -m bench.status: there is no directory nowhere.\n"),
        (["."], "python -m bench.status: no run lies under .; `python -m bench` makes one.\n"),
        ([], "python -m bench.status: the following arguments are required: DIR; --help shows what is possible.\n"),
    ],
)
def test_bad_input_is_one_sentence(words, sentence, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    try:
        code = status.main(words)
    except SystemExit as ended:
        code = ended.code
    assert (code, capsys.readouterr().err) == (2, sentence)


def test_it_starts_without_torch():
    program = "import sys, bench.status; sys.exit(bool({'torch', 'hydra', 'pandas'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", program], cwd=ROOT).returncode == 0


def test_a_report_during_a_sweep_shows_what_is_there(command, tmp_path):
    command("-m", "train.steps=1,2,3")
    unfinished = tmp_path / "out" / "runs" / "0123456789ab"
    unfinished.mkdir()
    for name, content in ((attempt.FILE, b"{}"), (attempt.RESUME, b"half"), (".runs.parquet.7.tmp", b"P")):
        (unfinished / name).write_bytes(content)
    collection, problems = collect(find([tmp_path / "out"]))
    assert problems == []
    assert sorted(collection.units.status) == ["diverged", "done", "failed"]


def test_a_run_on_another_kind_of_machine_is_not_missing(command, tmp_path, capsys):
    command("-m", "train.steps=1,3")
    [file] = (tmp_path / "out").rglob(plan.PATTERN)
    planned = json.loads(file.read_text())
    assert all("on_the_other_device" not in job for job in planned["jobs"])
    del planned["digest"]
    jobs = [{"overrides": [], "run": "0" * 12, "on_the_other_device": job["run"]} for job in planned["jobs"]]
    file.write_text(json.dumps(planned | {"jobs": [*jobs, {"overrides": ["seed=9"], "run": "1" * 12}]}))
    assert told(capsys, "out")[1] == {"out/runs": some(done=1, diverged=1, missing=1)}


def test_for_programs(command, tmp_path, capsys):
    command("-m", "train.steps=1,2,-1")
    capsys.readouterr()
    assert status.main([str(tmp_path / "out"), "--json"]) == 1
    [(folder, told)] = json.loads(capsys.readouterr().out).items()
    assert folder == str(tmp_path / "out" / "runs")
    assert told["states"] == some(done=1, failed=2)
    assert {run["state"] for run in told["runs"].values()} == {"done", "failed"}
    assert "It broke." in {run["reason"] for run in told["runs"].values()}
    output = f"output={tmp_path}/out device=cpu"
    assert told["commands"] == {
        f"python -m bench -m train.steps=1,2,-1 {output}": {"failed": 1}
    }  # the other has no run


def test_of_nothing_but_what_is_done_the_status_is_0(command, tmp_path, capsys):
    command("-m", "train.steps=1,3")
    capsys.readouterr()
    assert status.main([str(tmp_path / "out"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[str(tmp_path / "out" / "runs")]["commands"] == {}
    (directory_of(tmp_path, 1) / store.MARKER).unlink()
    assert status.main([str(tmp_path / "out")]) == 1
