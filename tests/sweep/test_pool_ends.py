"""However `hydra/launcher=pool` is stopped, runs are kept and no process is left."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bench.run import attempt
from tests.support import ends
from tests.support.packages import ROOT
from tests.support.pool_runs import POOL, rows
from tests.support.processes import alive, descendants, jobs


def started(tmp_path, *arguments: str) -> subprocess.Popen:
    """The sweep as a process of its own, in a group of its own."""
    words = ends.sweep(tmp_path / "mine", tmp_path / "out", POOL, *arguments)
    return subprocess.Popen(
        [sys.executable, "-m", "bench", *words],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip


@pytest.mark.slow
def test_runs_that_are_interrupted_write_down_where_they_stand(tmp_path):
    endless = ("train.steps=100000000", "measure.at=[]", "seed=1,2", "sweep.checkpoint_seconds=3")
    command = started(tmp_path, "hydra.launcher.n_jobs=2", *endless)
    while len(there := list(tmp_path.rglob(attempt.RESUME))) < 2:
        assert command.poll() is None
        time.sleep(0.02)
    for file in there:
        file.unlink()
    os.killpg(command.pid, signal.SIGINT)  # as a terminal does
    assert command.communicate(timeout=60)[0] == ""
    assert command.returncode == 130
    assert [file.is_file() for file in there] == [True, True]
    assert [attempt.read(file.parent)["pid"] for file in there] == [None, None]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="looks at /proc")
@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_nothing_outlives_the_command(tmp_path, sent):
    command = started(tmp_path, "hydra.launcher.n_jobs=3", "estimator.how=well,hangs", "seed=1,2")
    assert command.stdout
    for _ in range(2):  # both that end have ended; both others hang
        assert re.match(r"\d/4 estimator.how=well seed=\d: done", command.stdout.readline())
    below = descendants(command.pid)
    assert len(alive(below)) >= 3  # the server and two jobs
    if sent == signal.SIGINT:
        masks = [re.search(r"SigBlk:\s*(\w+)", (Path("/proc") / pid / "status").read_text())[1] for pid in jobs(below)]
        assert len(masks) >= 2
        assert all(int(mask, 16) >> (sent - 1) & 1 for mask in masks)
    os.killpg(command.pid, sent) if sent == signal.SIGINT else os.kill(command.pid, sent)  # as a terminal does
    out, err = command.communicate(timeout=60)
    if sent != signal.SIGKILL:
        assert command.returncode == 130
        assert (out, err) == ("", "Interrupted: finished runs are kept, and the same command goes on.\n")
    deadline = time.monotonic() + 30
    while alive(below) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert alive(below) == []
    assert {how: row["status"] for (how, _), row in rows(tmp_path / "out").items()} == {"well": "done"}
    assert len(rows(tmp_path / "out")) == 2
