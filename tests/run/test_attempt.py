"""Who works on a run: a process that lives, whose run is left alone, or nobody."""

import json
import os
import platform
from itertools import count
from pathlib import Path

import pytest

from bench.run import attempt
from bench.run.ending import Ending
from bench.run.single import run
from bench.tables import store
from tests.support.stand_in import files, stand_in_command
from tests.support.stopped import STOPS, chosen, dead, living


@pytest.fixture
def sleeper():
    with living() as claim:
        yield claim


def test_a_run_that_another_process_works_on_is_left_to_it(tmp_path, sleeper):
    (tmp_path / attempt.FILE).write_text(json.dumps(sleeper))
    outcome = run(chosen(*STOPS, "latent=bernoulli_small"), tmp_path)
    working = f"process {sleeper['pid']} of {platform.node()} works on it."
    assert outcome == Ending("running", working, tmp_path, already=True)
    assert [file.name for file in tmp_path.iterdir()] == [attempt.FILE]


@pytest.mark.parametrize("change", [{"process": "before the reboot"}, {"pid": None}, {"pid": os.getpid()}, None])
def test_a_claim_of_nobody_is_taken_over(change, tmp_path, sleeper):
    file = tmp_path / attempt.FILE
    file.write_text("{" if change is None else json.dumps(sleeper | change))
    (tmp_path / ".runs.parquet.1.tmp").write_text("half")
    with attempt.claim(tmp_path, {"label": "mine"}, lambda: 3) as other:
        assert other is None
        assert attempt.read(tmp_path)["pid"] == os.getpid()
        assert attempt.read(tmp_path)["label"] == "mine"
    assert list(tmp_path.iterdir()) == []


def test_two_processes_that_find_the_same_dead_claim_do_not_both_take_it_over(tmp_path, sleeper, monkeypatch):
    file, look = tmp_path / attempt.FILE, attempt.worker
    file.write_text(json.dumps(sleeper | {"process": "before the reboot"}))

    def look_and_be_overtaken(directory, *name):
        found = look(directory, *name)
        if name:
            return found
        file.write_text(json.dumps(sleeper | {"label": "faster"}))
        return found

    monkeypatch.setattr(attempt, "worker", look_and_be_overtaken)
    with attempt.claim(tmp_path, {}, lambda: 3) as other:
        assert other == f"process {sleeper['pid']} of {platform.node()} works on it."
    assert attempt.read(tmp_path) == sleeper | {"label": "faster"}
    assert [file.name for file in tmp_path.iterdir()] == [attempt.FILE]


def test_another_machine_is_alive_while_it_gives_signs_of_life(tmp_path):
    file = tmp_path / attempt.FILE
    file.write_text(json.dumps({"host": "elsewhere", "pid": 1, "process": "x"}))
    assert attempt.worker(tmp_path) == "process 1 of elsewhere"
    old = file.stat().st_mtime - attempt.STALE - 1
    os.utime(file, (old, old))
    assert attempt.worker(tmp_path) is None


def test_a_claim_of_another_machine_that_goes_away_between_two_looks_is_none(tmp_path, monkeypatch):
    monkeypatch.setattr(attempt, "read", lambda *file: {"host": "elsewhere", "pid": 1})
    assert attempt.worker(tmp_path) is None


@pytest.mark.parametrize("ahead", [attempt.STALE + 1, 1e7])
def test_a_sign_of_life_from_the_future_does_not_block(tmp_path, ahead):
    file = tmp_path / attempt.FILE
    file.write_text(json.dumps({"host": "elsewhere", "pid": 1, "process": "x"}))
    later = file.stat().st_mtime + ahead
    os.utime(file, (later, later))
    assert attempt.worker(tmp_path) is None


def test_the_clock_of_the_file_system_counts(tmp_path, monkeypatch):
    (tmp_path / attempt.FILE).write_text(json.dumps({"host": "elsewhere", "pid": 1, "process": "x"}))
    monkeypatch.setattr(attempt.time, "time", lambda: 0.0)  # this machine's clock is wrong
    assert attempt.worker(tmp_path) == "process 1 of elsewhere"
    assert [file.name for file in tmp_path.iterdir()] == [attempt.FILE]


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="this system has no /proc")
def test_a_killed_run_is_dead_where_the_machine_shows_no_boot_id(tmp_path, sleeper, monkeypatch):
    read_text = Path.read_text

    def hidden(self, *args, **kwargs):
        if self.name == "boot_id":
            raise PermissionError(13, "hidden")
        return read_text(self, *args, **kwargs)

    monkeypatch.setattr(Path, "read_text", hidden)
    file = tmp_path / attempt.FILE
    file.write_text(json.dumps(sleeper | {"process": attempt.process(sleeper["pid"])}))
    assert attempt.worker(tmp_path) == f"process {sleeper['pid']} of {platform.node()}"
    file.write_text(json.dumps(dead()))
    assert attempt.worker(tmp_path) is None


def test_two_containers_with_one_host_name_do_not_judge_each_other_by_process_numbers(tmp_path):
    file = tmp_path / attempt.FILE
    claim = dead() | {"namespace": "pid:[1]"}  # no process here has this number; one there may
    file.write_text(json.dumps(claim))
    assert attempt.worker(tmp_path) == f"process {claim['pid']} of {platform.node()}"
    old = file.stat().st_mtime - attempt.STALE - 1
    os.utime(file, (old, old))
    assert attempt.worker(tmp_path) is None
    with attempt.claim(tmp_path, {}, lambda: 0):
        assert attempt.read(tmp_path)["namespace"] != "pid:[1]"


ODD = [
    '{"pid": 5}', "[]", "5", '{"host": 5, "pid": 1}', '{"host": "a", "pid": true}', '{"host": "a", "pid": "1"}',
    '{"host": "a", "pid": ' + "9" * 400 + "}", '{"host": "a", "pid": -1}', '{"host": "a", "pid": 1, "step": "x"}',
    "[" * 100_000, '{"host": "a", "pid": 1, "command": {}}', "\x00",
]  # fmt: skip


@pytest.mark.parametrize("text", ODD, ids=range(len(ODD)))
def test_a_file_that_no_claim_wrote_is_nobodys(tmp_path, text):
    (tmp_path / attempt.FILE).write_text(text)
    assert attempt.read(tmp_path) is None
    assert attempt.worker(tmp_path) is None
    attempt.outlast(tmp_path)
    with attempt.claim(tmp_path, {}, lambda: 0) as other:
        assert other is None


def test_signs_of_life_tell_the_step(tmp_path, monkeypatch):
    monkeypatch.setattr(attempt, "BEAT", 0.001)
    steps = count()
    with attempt.claim(tmp_path, {}, lambda: next(steps)):
        while attempt.read(tmp_path)["step"] < 3:
            pass
    assert not (tmp_path / attempt.FILE).exists()


def test_what_a_process_left_that_was_killed_at_the_very_end_goes_with_the_next_look(tmp_path, monkeypatch):
    command = stand_in_command(tmp_path, monkeypatch)
    assert command("train.steps=1") == 0
    [marker] = tmp_path.rglob(store.MARKER)
    before = files(tmp_path)
    for name in (attempt.FILE, attempt.RESUME, ".runs.parquet.1.tmp"):
        (marker.parent / name).write_text("{}")
    assert command("train.steps=1") == 0
    assert files(tmp_path) == before
