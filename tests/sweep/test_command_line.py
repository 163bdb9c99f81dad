"""Flags in the middle, the home folder, readers that leave: the command line as people and shells use it."""

import os
import subprocess
import sys

import pytest

from bench import cli
from bench.report.options import arguments
from bench.run import seeds
from bench.run.ending import require_writable
from bench.tables import store
from tests.support.packages import ROOT
from tests.support.stand_in import stand_in_command


@pytest.fixture
def command(tmp_path, monkeypatch):
    return stand_in_command(tmp_path / "out", monkeypatch)


def complete(folder):
    return len(list(folder.rglob(store.MARKER)))


@pytest.mark.parametrize(
    "words",
    [
        ["-m", "seed=0,1", "train.steps=1"],
        ["train.steps=1", "-m", "seed=0,1"],
        ["seed=0,1", "--multirun", "train.steps=1"],
        ["seed=0,1", "--config-name", "config", "train.steps=1", "-m"],
    ],
)
def test_a_flag_stands_anywhere(command, tmp_path, words):
    assert command(*words) == 0
    assert [config["seed"] for config in command.runs] == [0, 1]
    assert complete(tmp_path) == 2


def test_an_option_of_another_command_stands_anywhere():
    assert [*map(str, arguments(["a", "--csv", "b"]).directories)] == ["a", "b"]


@pytest.mark.parametrize("words", [["output=~/out"], ["-m", "seed=0,1", "output=~/out"], ["output='~/out'"]])
def test_the_home_folder(command, tmp_path, monkeypatch, words):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    assert cli.main([*words, "train.steps=1", "device=cpu"]) == 0
    assert complete(tmp_path / "home" / "out") == len(command.runs) > 0
    assert [*tmp_path.glob("*~*")] == []


def test_the_home_folder_of_data(command, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert command("data.root=~/images", "train.steps=1") == 0
    assert command.runs[0]["data"]["root"] == f"{tmp_path}/home/images"


def test_a_link_to_nothing_is_no_place(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "nothing")
    with pytest.raises(ValueError, match=r"is a link to .*nothing, which is not there"):
        require_writable(tmp_path / "link" / "runs")


@pytest.mark.parametrize("word", ['output="a\udcff"', "na\udcffme=3", "+estimator.a='\udc80'"])
def test_bytes_that_are_no_text(capsys, tmp_path, monkeypatch, word):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(seeds, "start", None)
    assert cli.main([word]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.isprintable() or said.err.endswith("is not UTF-8 text.\n")
    assert len(said.err.splitlines()) == 1
    assert [*tmp_path.iterdir()] == []


# Readers


@pytest.fixture
def gone():
    """A stream whose reader has left."""
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, "w") as stream:
        yield stream


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_a_sweep_goes_on_without_its_reader(command, tmp_path, monkeypatch, gone, capsys, stream):
    monkeypatch.setattr(sys, stream, gone)
    assert command("-m", "seed=0,1,2", "train.steps=1,2") == 1  # steps 2: failed, and its reason is printed
    assert len(command.runs) == 6
    assert complete(tmp_path) == 6
    monkeypatch.undo()
    assert "Traceback" not in "".join(capsys.readouterr())


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_a_stream_that_was_closed_from_the_start(command, monkeypatch, stream):
    monkeypatch.setattr(sys, stream, None)
    assert command("train.steps=1") == 0
    assert getattr(sys, stream) is None


def shell(line, folder, **more):
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", **more}
    return subprocess.run(line, shell=True, cwd=folder, env=environment, capture_output=True, text=True)


@pytest.mark.slow
@pytest.mark.parametrize("launcher", ["basic", "pool"])
def test_a_pipe_to_head(tmp_path, launcher):
    words = "train.steps=2 train.batch_size=20 measure.at=[] evaluate.at=[1] evaluate.examples=20 timing.repetitions=0"
    line = f"{sys.executable} -m bench -m hydra/launcher={launcher} seed=0,1,2 threads=1 {words} | head -1"
    done = shell(line, tmp_path)
    assert done.stderr == ""
    assert len(done.stdout.splitlines()) == 1
    assert complete(tmp_path) == 3


@pytest.mark.slow
@pytest.mark.parametrize(
    "words", ["bench.list | head -1", "bench.report nowhere 2>&1 | true", "bench.status . 2>&1 | true"]
)
def test_other_commands_in_a_pipe(tmp_path, words):
    done = shell(f"{sys.executable} -m {words}", tmp_path)
    assert done.stderr == ""


@pytest.mark.slow
@pytest.mark.parametrize("module", ["bench.report", "bench.status"])
def test_python_without_docstrings(tmp_path, module):
    done = shell(f"{sys.executable} -OO -m {module} .", tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith(f"python -m {module}: No complete run") or "no run lies under" in done.stderr
