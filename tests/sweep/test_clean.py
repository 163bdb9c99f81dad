"""What no report counts any more is listed, and goes when that is asked for; all else stays to the byte."""

import json
import shutil

import pytest

from bench import clean
from bench.report.collection.collect import collect, find
from bench.run import attempt
from bench.tables.store import MARKER, read, write
from tests.support.stopped import living
from tests.support.synthetic_runs import config, runs_row, tables


def place(folder, status="done", started="2026-11-20T10:00:00Z", seed=0, **changes):
    row = runs_row(
        config("rloo", "bernoulli", seed, **changes),
        "rloo",
        status=status,
        started=started,
        command=f"python -m bench {status}",
    )
    write(folder / row["run"], tables(row) if status == "done" else {"runs": [row]})
    return folder / row["run"]


def cleaned(folder, capsys, *words):
    """The folders that are listed, by the first words of why."""
    assert clean.main([str(folder), *words]) == 0
    *lines, last = capsys.readouterr().out.splitlines()
    assert last.startswith(str(len(lines)) if lines else "There is nothing")
    return {line.partition(": ")[0]: line.partition(": ")[2].split()[0].rstrip(";,") for line in lines}


def contents(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_what_goes_and_what_stays(tmp_path, capsys):
    good = place(tmp_path, seed=1, started="2026-11-20T11:00:00Z", train__lr=0.1)
    failed = place(tmp_path, "failed", seed=1, train__lr=0.2)
    alone = place(tmp_path, "failed", seed=2)
    stopped = tmp_path / ("a" * 12)
    stopped.mkdir()
    (stopped / attempt.FILE).write_text(json.dumps({"host": "elsewhere", "pid": None}))
    (stopped / attempt.RESUME).write_bytes(b"state")
    copy = tmp_path / "older" / good.name
    shutil.copytree(good, copy)
    (good / ".runs.parquet.1-0.tmp").write_bytes(b"half")
    (stopped / "notes.txt").write_text("mine")
    before = contents(tmp_path)
    listed = {str(failed): "failed", str(stopped): "interrupted", str(good): "temporary"}
    other = {str(copy if copy.resolve() > good.resolve() else good): "another"}
    found = cleaned(tmp_path, capsys)
    assert {k: v for k, v in found.items() if v != "another"} == listed
    assert [v for v in found.values() if v == "another"] == ["another"], other
    assert contents(tmp_path) == before
    assert cleaned(tmp_path, capsys, "--yes") == found
    assert cleaned(tmp_path, capsys) == {}
    left = {path.relative_to(tmp_path).as_posix() for path in contents(tmp_path)}
    assert f"{stopped.name}/notes.txt" in left
    assert f"{alone.name}/{MARKER}" in left
    assert not failed.exists()
    assert sum(name.endswith(MARKER) for name in left) == 2  # the good one once, and the failure that nobody fixed
    assert not any(name.endswith(".tmp") for name in left)


def test_what_a_living_process_works_on_stays(tmp_path, capsys):
    (tmp_path / ("b" * 12)).mkdir()
    with living() as claim:
        (tmp_path / ("b" * 12) / attempt.FILE).write_text(json.dumps(claim))
        assert cleaned(tmp_path, capsys, "--yes") == {}
    assert (tmp_path / ("b" * 12) / attempt.FILE).exists()


def test_there_is_no_such_folder(tmp_path, capsys):
    assert clean.main([str(tmp_path / "nowhere")]) == 2
    assert "there is no directory" in capsys.readouterr().err


LATER = "2026-11-20T12:00:00Z"


def test_a_failed_run_that_was_fixed_does_not_rename_the_good_one(tmp_path):
    place(tmp_path, "failed", train__lr=0.5)
    place(tmp_path, started=LATER, train__lr=0.001)
    collection, lines = collect(find([tmp_path]))
    assert collection.units.label.tolist() == ["rloo"]
    assert len(lines) == 1
    assert "failed" in lines[0]


@pytest.mark.parametrize(
    "others",
    [
        [{"estimator__k": 8}],  # another hyper-parameter of the estimator: another question
        [{"seed": 5}],  # another seed
        [{"latent__dim": 7}],  # another problem
        [{"train__lr": 0.001}, {"train__lr": 0.01}],  # a sweep over the key, in which the failure is a result
    ],
)
def test_a_failure_that_was_not_fixed_is_kept(tmp_path, others):
    place(tmp_path, "failed", train__lr=0.5)
    for changes in others:
        place(tmp_path, started=LATER, **changes)
    collection, lines = collect(find([tmp_path]))
    assert sorted(collection.units.status) == ["done"] * len(others) + ["failed"]
    assert lines == []


def test_a_failure_of_the_same_sweep_is_kept(tmp_path):
    good, failed = place(tmp_path, "failed", train__lr=0.5), place(tmp_path, started=LATER, train__lr=0.001)
    for directory in (good, failed):
        row = read(directory)["runs"].to_pylist()[0] | {"command": "python -m bench -m train.lr=0.5,0.001"}
        write(directory, {"runs": [row]})
    assert len(collect(find([tmp_path]))[0].units) == 2


def test_a_failure_after_the_good_run_is_kept(tmp_path):
    place(tmp_path, "failed", started=LATER, train__lr=0.5)
    place(tmp_path, train__lr=0.001)
    assert len(collect(find([tmp_path]))[0].units) == 2
