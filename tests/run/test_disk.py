"""A disk that is full or may not be written: one sentence, and what was there before stays as it was."""

import errno
import os
import subprocess
from pathlib import Path

import pytest

from bench import cli
from bench.run import attempt, resume
from bench.run.single import run
from bench.tables import store
from tests.support.runs import numbers
from tests.support.stand_in import files, stand_in_command
from tests.support.stopped import REBAR, chosen, stopping
from tests.support.table_rows import made

FULL = "No space left on device"


@pytest.fixture
def full(monkeypatch):
    """Call with a number of writes: those succeed, and then the disk is full, after half of the next one."""

    def after(writes: int, only: str = "") -> None:
        class Disk:
            def __init__(self, path, mode):
                self.file, self.counts = Path(path).open(mode), only in str(path)  # noqa: SIM115

            def __enter__(self):
                return self

            def __exit__(self, *_):
                self.file.close()

            def __getattr__(self, name):
                return getattr(self.file, name)

            def write(self, content):
                nonlocal writes
                writes -= self.counts
                if writes < 0 and self.counts:
                    self.file.write(content[: len(content) // 2])
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                self.file.write(content)

        monkeypatch.setattr("bench.files.open", Disk, raising=False)

    return after


@pytest.fixture
def command(tmp_path, monkeypatch):
    return stand_in_command(tmp_path / "out", monkeypatch)


def content(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in files(folder)}


@pytest.mark.parametrize("writes", range(5))  # four tables and the marker
def test_a_full_disk_leaves_the_earlier_tables_whole(writes, tmp_path, full):
    store.write(tmp_path, made(status="failed"))
    before = content(tmp_path)
    full(writes)
    with pytest.raises(OSError, match=FULL) as error:
        store.write(tmp_path, made())
    assert Path(error.value.filename).parent == tmp_path
    assert content(tmp_path) == before


def test_one_run_on_a_full_disk_is_one_sentence(command, tmp_path, full, capsys):
    assert command("train.steps=1") == 0
    before = content(tmp_path)
    full(0)
    assert command("train.steps=1", "seed=1") == 2
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith(f"{tmp_path}/out/runs/")
    assert line.endswith(f"cannot be written: {FULL}; choose another place with output=<folder>.")
    assert content(tmp_path) == before


def test_a_sweep_goes_on_and_finishes_when_there_is_space_again(command, tmp_path, full, monkeypatch, capsys):
    assert command("-m", "seed=0,1", "train.steps=1") == 0
    before = content(tmp_path)
    full(3)  # a plan and two tables
    assert command("-m", "seed=0,1,2,3", "train.steps=1") == 1
    said = capsys.readouterr()
    assert said.err == ""
    assert said.out.count(f"cannot be written: {FULL}; choose another place") == 4  # two lines, two in the table below
    after = content(tmp_path)
    assert {name: after.get(name) for name in before if "yaml" not in name} == {
        name: held for name, held in before.items() if "yaml" not in name
    }
    monkeypatch.undo()
    again = stand_in_command(tmp_path / "out", monkeypatch)
    assert again("-m", "seed=0,1,2,3", "train.steps=1") == 0
    assert [config["seed"] for config in again.runs] == [2, 3]


def test_a_run_goes_on_without_the_file_that_would_continue_it(tmp_path, full, monkeypatch, capsys):
    run(chosen(*REBAR), tmp_path / "a")
    full(0, only=attempt.RESUME)
    assert run(chosen(*REBAR), tmp_path / "b").status == "done"
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith(f"{tmp_path}/b/resume.pt is not written: ")
    assert FULL in line
    assert numbers(tmp_path / "a") == numbers(tmp_path / "b")


def test_a_full_disk_leaves_the_last_state_whole(tmp_path, full, monkeypatch):
    run(chosen(*REBAR), tmp_path / "a")
    full(4, only=attempt.RESUME)
    stopping(monkeypatch, 9)
    with pytest.raises(KeyboardInterrupt):
        run(chosen(*REBAR), tmp_path / "b")
    full(100)
    assert resume.read_state(tmp_path / "b", chosen(*REBAR))["step"] == 3
    run(chosen(*REBAR), tmp_path / "b")
    assert numbers(tmp_path / "a") == numbers(tmp_path / "b")


# Real file systems


@pytest.fixture
def mounted(tmp_path):
    """Mount a small file system in memory with these options; skipped where that is not allowed."""
    places = []

    def mount(options: str) -> Path:
        place = tmp_path / f"mounted{len(places)}"
        place.mkdir()
        words = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place)]
        try:
            done = subprocess.run(words, capture_output=True, text=True)
        except OSError as error:
            pytest.skip(f"needs mount: {error}")
        if done.returncode:
            pytest.skip(f"needs the right to mount: {done.stderr.strip()}")
        places.append(place)
        return place

    yield mount
    for place in places:
        subprocess.run(["umount", str(place)], check=True)


def test_a_disk_in_memory_that_fills_up(mounted, tmp_path, monkeypatch, capsys):
    place = mounted("size=160k")
    command = stand_in_command(place / "out", monkeypatch)
    assert command("-m", "seed=range(8)", "train.steps=1") == 1
    said = capsys.readouterr()
    assert said.err == ""
    assert FULL in said.out
    done = [marker.parent for marker in place.rglob(store.MARKER)]
    assert 0 < len(done) < 8
    for directory in done:  # a row that says what failed may fit where the tables of a whole run do not
        tables = store.read(directory)
        [row] = tables["runs"].to_pylist()
        assert (tables["objective"].num_rows == 4) if row["status"] == "done" else (FULL in row["reason"])
    assert any(store.read(directory)["runs"]["status"][0].as_py() == "done" for directory in done)
    assert not [file for file in files(place) if file.endswith(".tmp")]
    assert command("seed=100", "train.steps=1") == 2
    [line] = capsys.readouterr().err.splitlines()
    assert FULL in line


def test_a_disk_that_is_read_only(mounted, monkeypatch, capsys):
    place = mounted("ro")
    command = stand_in_command(place / "out", monkeypatch)
    for words in (["train.steps=1"], ["-m", "train.steps=1,3"]):
        assert command(*words) == 2
        said = capsys.readouterr()
        assert said.out == ""
        [line] = said.err.splitlines()
        assert "cannot be written" in line
        assert line.endswith("with output=<folder>.")
    assert command.runs == []


def test_a_folder_without_permission(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(os, "access", lambda place, mode: Path(place) != tmp_path)  # root may write anywhere
    assert cli.main([f"output={tmp_path}/out", "device=cpu"]) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert f"since {tmp_path} is a folder without permission to write; choose another with output=" in line
    assert files(tmp_path) == []
