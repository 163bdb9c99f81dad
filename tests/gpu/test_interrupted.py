"""Whoever ends the sitting ends the part that runs, and a part that has lost its GPU goes on without."""

import time

import pytest

from bench.gpu import command, options
from bench.gpu.parts import AGAIN, Part
from tests.support.sittings import DRY, alive, ended, planted

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


LOSES_IT = """
import os, pathlib
file = pathlib.Path({file!r})
done = len(file.read_text()) if file.exists() else 0
print("row", done, flush=True)
file.write_text("x" * (done + 1))
os._exit(75 if done < 2 else {code})
"""


@pytest.mark.parametrize(("code", "status"), [(0, "done"), (1, "ended with exit status 1")])
def test_a_part_that_has_lost_the_gpu_goes_on_in_a_new_process(tmp_path, code, status):
    program = LOSES_IT.format(file=str(tmp_path / "rows"), code=code)
    assert command.do(Part("rows", 1, "timeit", ["-n", "1", "-r", "1", program]), tmp_path, 60)["status"] == status
    said = (tmp_path / "rows.log").read_text()
    assert [line for line in said.splitlines() if line.startswith("row")] == ["row 0", "row 1", "row 2"]


def test_a_pair_that_loses_the_gpu_is_a_row_and_the_others_come_behind_it(tmp_path, monkeypatch, capsys):
    lost: list[str] = []

    def pair(option, family, device, data):
        lost.append(family)
        return {"option": option, "family": family, "eager": "ok", "graph": "failed: RuntimeError: lost"}, data

    monkeypatch.setattr(options, "pair", pair)
    monkeypatch.setattr(options, "lost_gpu", lost)
    words = ["--device", "cpu", "--out", str(tmp_path / "o.csv"), "--options", "rloo"]
    assert [options.main(words) for _ in options.FAMILIES] == [AGAIN] * len(options.FAMILIES)
    assert lost == options.FAMILIES
    assert options.main(words) == 1  # all pairs are there, and they failed
    capsys.readouterr()
