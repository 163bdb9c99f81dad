"""Plans and claims from elsewhere: what is odd is passed over, and the rest is counted."""

import json
import os

import pytest

from bench import status
from bench.run import attempt
from bench.sweep import plan
from tests.support.odd_files import ODD_TEXTS, ODD_VALUES, edited, good
from tests.support.stand_in import stand_in_command

PLAN = {
    "command": "python -m bench -m seed=0,1", "started": "2026-11-20T10:00:00+00:00",
    "jobs": [{"overrides": ["seed=0"], "run": "0123456789ab", "on_the_other_device": "0123456789ac"},
             {"overrides": ["seed=1"], "run": None, "reason": "It cannot be."}],
}  # fmt: skip
CLAIM = {"host": "elsewhere", "pid": 5, "process": "b 1", "namespace": "pid", "started": "", "command": "c",
         "label": "l", "step": 1, "steps": 2}  # fmt: skip


def counted(folder, capsys):
    assert status.main([str(folder)]) in (0, 1)
    out, err = capsys.readouterr()
    assert err == ""
    return out


@pytest.mark.parametrize("kind", ODD_TEXTS)
def test_a_text_that_is_no_plan(tmp_path, capsys, kind):
    good(tmp_path)
    (tmp_path / "sweep_00000000.json").write_text(ODD_TEXTS[kind], encoding="utf-8")
    (tmp_path / "0123456789ab").mkdir()
    (tmp_path / "0123456789ab" / attempt.FILE).write_text(ODD_TEXTS[kind], encoding="utf-8")
    assert "missing:" not in counted(tmp_path, capsys)


@pytest.mark.parametrize("kind", ODD_VALUES)
def test_a_plan_with_an_odd_value(tmp_path, capsys, kind):
    good(tmp_path)
    for key in ("command", "started", "jobs"):
        (tmp_path / f"sweep_{key}.json").write_text(json.dumps(edited(PLAN, key, ODD_VALUES[kind])))
    for key in ("overrides", "run", "on_the_other_device", "reason"):
        job = edited(PLAN["jobs"][1], key, ODD_VALUES[kind])
        (tmp_path / f"sweep_job_{key}.json").write_text(json.dumps(PLAN | {"jobs": [PLAN["jobs"][0], job]}))
    (tmp_path / "sweep_job.json").write_text(json.dumps(PLAN | {"jobs": [ODD_VALUES[kind]]}))
    counted(tmp_path, capsys)


@pytest.mark.parametrize("kind", ODD_VALUES)
def test_a_claim_with_an_odd_value(tmp_path, capsys, kind):
    for number, key in enumerate(CLAIM):
        run = tmp_path / f"{number:012x}"
        run.mkdir()
        (run / attempt.FILE).write_text(json.dumps(edited(CLAIM, key, ODD_VALUES[kind])))
    counted(tmp_path, capsys)


@pytest.mark.parametrize("name", ["sweep_0.json", "0123456789ab/running.json", "0123456789ab/complete.json"])
def test_a_pipe_does_not_hang(tmp_path, capsys, name):
    good(tmp_path)
    (tmp_path / name).parent.mkdir(exist_ok=True)
    os.mkfifo(tmp_path / name)
    counted(tmp_path, capsys)


def test_no_flipped_bit_of_a_plan_names_another_run(tmp_path, monkeypatch):
    assert stand_in_command(tmp_path, monkeypatch)("-m", "seed=0,1", "train.steps=1") == 0
    [path] = tmp_path.rglob(plan.PATTERN)
    stored, whole = path.read_bytes(), plan.read(path)
    assert len(whole["jobs"]) == 2
    for place in range(0, 8 * len(stored), 37):
        damaged = bytearray(stored)
        damaged[place // 8] ^= 1 << place % 8
        path.write_bytes(damaged)
        found = plan.read(path)
        assert found is None or (found["jobs"], found["command"]) == (whole["jobs"], whole["command"])
