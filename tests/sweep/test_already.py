"""The same command again starts nothing for what is there, and says of it what the jobs themselves would say."""

import pytest
from hydra._internal.core_plugins.basic_launcher import BasicLauncher
from hydra.experimental.callback import Callback

from bench.run import attempt
from bench.sweep import already, pool
from bench.tables import store
from tests.support.stand_in import stand_in_command

POOL = ("hydra/launcher=pool", "hydra.launcher.n_jobs=1")


class Listener(Callback):
    """Wants to hear of every job."""


@pytest.fixture
def command(tmp_path, monkeypatch):
    return stand_in_command(tmp_path / "out", monkeypatch)


@pytest.fixture
def started(monkeypatch):
    """The overrides of the jobs that Hydra's launcher does, in order."""
    found, launch = [], BasicLauncher.launch

    def counted(self, job_overrides, initial_job_idx):
        found.extend(job_overrides)
        return launch(self, job_overrides, initial_job_idx)

    monkeypatch.setattr(BasicLauncher, "launch", counted)
    return found


def lines(said):
    """What is said of each job."""
    return [line for line in said.splitlines() if "/" in line.split(" ")[0]]


def test_only_what_is_to_be_done_is_started(command, started, capsys, monkeypatch):
    words = ("-m", "train.steps=1,2,3,4", "seed=0,1")
    assert command(*words) == 1
    assert len(started) == 8
    started.clear()
    capsys.readouterr()
    assert command(*words) == 1
    assert [job[:2] for job in started] == [["train.steps=2", "seed=0"], ["train.steps=2", "seed=1"]]
    said = lines(capsys.readouterr().out)
    monkeypatch.setattr(already, "endings", lambda *_: None)
    assert command(*words) == 1
    assert [_untimed(line) for line in lines(capsys.readouterr().out)] == [_untimed(line) for line in said]


def _untimed(line):
    return line.partition(" in ")[0]


def test_failures_that_stay_are_told_and_stop_what_is_to_stop(command, started, capsys):
    assert command("-m", "train.steps=2,1", "seed=0,1") == 1
    started.clear()
    assert command("-m", "train.steps=2,1", "seed=0,1", "sweep.retry=keep") == 1
    assert not started
    assert "1/4 train.steps=2 seed=0: already failed: It broke." in capsys.readouterr().out
    assert command("-m", "train.steps=2,1", "seed=0,1", "sweep.retry=keep", "sweep.fail_fast=true") == 1
    assert len(started) == 1  # the second job, which finds that the first has failed
    assert "3 jobs were not started" in capsys.readouterr().err


def test_what_is_damaged_or_another_works_on_is_seen(command, started, tmp_path, monkeypatch):
    assert command("-m", "train.steps=1", "seed=0,1,2") == 0
    started.clear()
    first, second, _ = sorted(marker.parent for marker in tmp_path.rglob(store.MARKER))
    (first / "runs.parquet").write_bytes(b"PAR1")
    monkeypatch.setattr(attempt, "worker", lambda directory, *_: "somebody" if directory == second else None)
    assert command("-m", "train.steps=1", "seed=0,1,2") == 1
    assert len(started) == 1


def test_the_runs_of_a_job_are_told_one_by_one(command, started, capsys):
    words = ("-m", "train.steps=1", "seed=0,5", "replicas=2")
    assert command(*words) == 0
    started.clear()
    capsys.readouterr()
    assert command(*words) == 0
    assert not started
    assert [line.split(": ")[0] for line in lines(capsys.readouterr().out)] == [
        "1/2 seed=0 seed=0", "1/2 seed=0 seed=1", "2/2 seed=5 seed=5", "2/2 seed=5 seed=6",
    ]  # fmt: skip


def test_a_callback_hears_of_every_job(command, started):
    words = ("-m", "train.steps=1", "seed=0,1", f"+hydra.callbacks.own._target_={__name__}.Listener")
    assert command(*words) == 0
    assert command(*words) == 0
    assert len(started) == 4


def test_the_pool_starts_no_process_for_what_is_there(command, capsys, monkeypatch):
    assert command("-m", "train.steps=1", "seed=0,1,2") == 0
    capsys.readouterr()
    monkeypatch.setattr(pool, "start_server", lambda: None)
    monkeypatch.setattr(pool, "Process", None)
    assert command("-m", "train.steps=1", "seed=0,1,2", *POOL) == 0
    assert lines(capsys.readouterr().out) == [f"{n}/3 seed={n - 1}: already done" for n in (1, 2, 3)]


def test_runs_with_parts_of_ones_own_are_known_by_all_their_code(command, started, tmp_path):
    for group, part in (("data", "Coins"), ("latent", "Die")):
        (tmp_path / "own" / group).mkdir(parents=True)
        (tmp_path / "own" / group / "mine.yaml").write_text(f"_target_: tests.support.brought.{part}\n")
    words = ("--config-dir", str(tmp_path / "own"), "-m", "data=mine", "latent=mine", "train.steps=1", "seed=0,1")
    assert command(*words) == 0
    started.clear()
    assert command(*words) == 0
    assert not started
