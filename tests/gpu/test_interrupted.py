"""Whoever ends the sitting ends the part that runs."""

import time

import pytest

from bench.gpu import command
from tests.gpu.test_command import DRY, alive, ended, planted

ENDS_IT = """
import os, pathlib, signal, time
pathlib.Path({file!r}).write_text(str(os.getpid()))
os.kill(os.getppid(), signal.{name})
time.sleep(60)
"""


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
def test_a_sitting_that_is_ended_leaves_no_part_behind(tmp_path, monkeypatch, capsys, name):
    file, start = tmp_path / "pid", time.monotonic()
    planted(monkeypatch, first="print(1)", second=ENDS_IT.format(file=str(file), name=name))
    assert command.main([*DRY, str(tmp_path)]) == 130
    assert time.monotonic() - start < 30
    assert not alive(int(file.read_text()))
    assert ended(tmp_path) == {"first": "done"}
    assert (
        capsys.readouterr().out.splitlines()[-1] == "Interrupted: what is done is kept, and the same command goes on."
    )
