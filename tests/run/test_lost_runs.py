"""A run whose process is gone is a row, unless it is done or another process works on it."""

import json
import os
import time

import pytest

from bench.run import attempt
from bench.run.ending import Ending
from bench.run.record import record_lost
from bench.run.single import run
from bench.tables import store
from tests.support.stopped import TINY, chosen, dead, killed, living, row, stopping


def test_a_lost_run_is_a_row_unless_it_is_done_or_taken_over(tmp_path, monkeypatch):
    settings, claim = chosen(*TINY), tmp_path / attempt.FILE
    stopping(monkeypatch, 4, killed)
    with pytest.raises(KeyboardInterrupt):
        run(settings, tmp_path)
    claim.write_text(json.dumps(dead()))
    lost = Ending("failed", "Its process was killed.", tmp_path, step=4)
    assert record_lost(settings, tmp_path, "Its process was killed.") == lost
    assert (row(tmp_path)["step"], row(tmp_path)["status"]) == (4, "failed")
    assert not claim.exists()
    assert (tmp_path / attempt.RESUME).exists()
    with living() as other:
        claim.write_text(json.dumps(other))
        assert record_lost(settings, tmp_path, "Another.").status == "running"
    assert row(tmp_path)["reason"] == "Its process was killed."
    claim.unlink()
    assert run(settings, tmp_path).status == "done"
    assert record_lost(settings, tmp_path, "Too late.") == Ending("done", "", tmp_path, step=12)
    assert row(tmp_path)["status"] == "done"


@pytest.mark.parametrize(("beats", "status"), [(False, "failed"), (True, "running")])
def test_of_a_process_of_another_machine_a_sign_of_life_is_awaited(beats, status, tmp_path, monkeypatch):
    claim = tmp_path / attempt.FILE
    claim.write_text(json.dumps({"host": "elsewhere", "pid": 3, "process": "x", "step": 4}))
    written, slept = claim.stat().st_mtime, []

    def sleep(seconds):
        slept.append(seconds)
        monkeypatch.setattr(attempt, "now", lambda _: written + 10 * len(slept))
        if beats and len(slept) == 3:
            os.utime(claim, (written + 30, written + 30))

    monkeypatch.setattr(attempt, "now", lambda _: written)
    monkeypatch.setattr(time, "sleep", sleep)
    assert record_lost(chosen(*TINY), tmp_path, "Its node was lost.").status == status
    assert len(slept) == (3 if beats else 9)  # a beat, or STALE seconds without one
    assert (tmp_path / store.MARKER).exists() == (not beats)


def test_a_lost_run_that_had_not_begun_is_a_row_too(tmp_path):
    assert record_lost(chosen(*TINY), tmp_path / "new", "It never came up.").status == "failed"
    assert row(tmp_path / "new")["reason"] == "It never came up."
