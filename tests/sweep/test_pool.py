"""`hydra/launcher=pool`: whatever happens to a job is a row, the others are as ever, and nothing outlives it all."""

import re
import time
from pathlib import Path

import pytest

from bench import cli
from bench.run.ending import Ending
from bench.sweep import job
from bench.sweep.pool import Pool
from bench.tables import store
from tests.support import ends
from tests.support.pool_runs import POOL, rows


@pytest.fixture
def sweep(tmp_path):
    """`python -m bench` on the estimator `ends`, writing to a folder below tmp_path."""
    return lambda *arguments, output="out": cli.main(ends.sweep(tmp_path / "mine", tmp_path / output, *arguments))


def numbers(directory: Path) -> list:
    """All that was computed, without times."""
    read = store.read(directory)
    return [
        read[name].drop_columns([c for c in read[name].column_names if c == "seconds"])
        for name in read
        if name in ("objective", "gradient")
    ]


@pytest.mark.slow
def test_every_ending_is_a_row_and_the_same_command_redoes_what_failed(sweep, tmp_path, capfd):
    hows = "estimator.how=well,fails,killed,exits,tells,prints"
    assert sweep(POOL, "hydra.launcher.n_jobs=2", hows) == 1
    said = capfd.readouterr()
    found = {how: row for (how, _), row in rows(tmp_path / "out").items()}
    assert {how for how, row in found.items() if row["status"] == "done"} == {"well", "prints"}
    raised = "estimator._target_=tests.support.ends.Ends with estimator.how=fails raised RuntimeError: It broke (line "
    assert found["fails"]["reason"].startswith(raised)
    assert found["killed"]["reason"].startswith("Its process was killed by signal 9 (SIGKILL)")
    assert found["exits"]["reason"].startswith("Its process ended with exit status 3")
    assert (found["exits"]["directory"] / "traceback.txt").read_text() == "last words\n"
    assert "ESTIMATOR_BENCH_JOBS=2 ESTIMATOR_BENCH_GPU_JOBS=2" in found["tells"]["reason"]
    lines = said.out.splitlines()
    assert [line.split()[0] for line in lines[:6]] == [f"{n}/6" for n in range(1, 7)]
    assert {line.split("estimator.how=")[1].split(":")[0] for line in lines[:6]} == set(found)
    assert all(" left" in line for line in lines[:5])
    assert lines[6].split()[0] == "run"  # the table at the end
    assert set(said.err.splitlines()) == {"a warning"}
    assert found["well"]["command"].startswith("python -m bench --config-dir")

    assert sweep(POOL, hows) == 1
    again = capfd.readouterr().out.splitlines()[:6]
    assert sorted(line.split("how=")[1].split(":")[0] for line in again if "already done" in line) == ["prints", "well"]


@pytest.mark.slow
def test_numbers_are_those_of_the_basic_launcher(sweep, tmp_path):
    seeds = ("seed=1,2", "train.steps=3", "measure.draws=8")
    assert sweep(POOL, *seeds) == 0
    assert sweep(*seeds, output="basic") == 0
    pooled, basic = rows(tmp_path / "out"), rows(tmp_path / "basic")
    assert pooled.keys() == basic.keys() == {("well", 1), ("well", 2)}
    for key, row in pooled.items():
        assert numbers(row["directory"]) == numbers(basic[key]["directory"])
    assert numbers(pooled["well", 1]["directory"]) != numbers(pooled["well", 2]["directory"])


def test_a_lost_job_of_replicas_is_a_row_of_every_seed(sweep, tmp_path, capfd):
    assert sweep(POOL, "estimator.how=killed", "replicas=2", "seed=4") == 1
    found = rows(tmp_path / "out")
    assert set(found) == {("killed", 4), ("killed", 5)}
    for row in found.values():
        assert row["reason"].startswith("Its process was killed by signal 9 (SIGKILL)")
    lines = capfd.readouterr().out.splitlines()[:2]
    assert [line.split(": failed")[0].split()[-1] for line in lines] == ["seed=4", "seed=5"]


def test_the_time_limit(sweep, tmp_path, capfd):
    assert sweep(POOL, "estimator.how=hangs", "hydra.launcher.time_limit=0.5", "seed=1") == 1
    [row] = rows(tmp_path / "out").values()
    assert row["reason"] == "The time limit of 0.5 s (hydra.launcher.time_limit) ended it."
    assert re.match(r"1/1: failed in \d+\.\d s: The time limit", capfd.readouterr().out)


def test_each_job_sees_its_gpu(sweep, tmp_path, monkeypatch):
    monkeypatch.setattr("torch.cuda.device_count", lambda: 6)
    pool = (POOL, "hydra.launcher.gpus=[3,5]", "hydra.launcher.gpu_share=2", "hydra.launcher.n_jobs=4")
    assert sweep(*pool, "estimator.how=tells", "seed=1,2,3,4") == 1
    reasons = [row["reason"] for row in rows(tmp_path / "out").values()]
    seen = [reason.split("CUDA_VISIBLE_DEVICES=")[1].partition(" (")[0] for reason in reasons]
    assert sorted(seen) == sorted(f"{gpu} ESTIMATOR_BENCH_JOBS=4 ESTIMATOR_BENCH_GPU_JOBS=2" for gpu in (3, 3, 5, 5))


def test_fail_fast_starts_nothing_more(sweep, tmp_path, capfd):
    assert sweep(POOL, "hydra.launcher.n_jobs=1", "sweep.fail_fast=true", "estimator.how=fails,well,prints") == 1
    said = capfd.readouterr()
    assert [line.split()[0] for line in said.out.splitlines() if re.match(r"\d+/\d+ ", line)] == ["1/3"]
    assert said.err == "sweep.fail_fast=true: a run failed, and 2 jobs were not started.\n"


class Over:
    """A process whose job trained three seeds at once in ten seconds."""

    overrides, endings = ("replicas=3",), [Ending("done", label=f"seed={n}", seconds=10) for n in range(3)]
    end, printed = (lambda self: None), (lambda self: "")

    def __init__(self):
        self.started = time.monotonic() - 10


def test_the_seconds_of_seeds_trained_at_once_count_once(capsys):
    pool, over = Pool(1, None, None, 1), Over()
    pool.session, pool.running, pool.free, pool.returned, pool.worked = job.Session(), {over: (0, None)}, [], {}, []
    pool.total, pool.at_once = 2, 1
    pool.finish(over)
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == ["1/2 seed=0: done in 10.0 s", "1/2 seed=1: done in 10.0 s"]
    assert lines[2:] == ["1/2 seed=2: done in 10.0 s; about 10 s left"]


@pytest.mark.parametrize(
    ("setting", "sentence"),
    [
        ("n_jobs=0", "hydra.launcher.n_jobs needs a whole number, 1 or more; got 0."),
        ("n_jobs=abc", "'abc' of type 'str' could not be converted to Integer"),
        ("gpu_share=-1", "hydra.launcher.gpu_share needs a whole number, 1 or more; got -1."),
        ("time_limit=0", "hydra.launcher.time_limit needs seconds, above 0, or null; got 0."),
        ("gpus=0", "hydra.launcher.gpus needs how many"),
        ("gpus=[0,0]", "without repetition; got [0, 0]."),
        ("gpus=one", "got one."),
        ("gpus=99", "hydra.launcher.gpus=99 was asked for and this machine shows "),
        ("n_job=3", "There is no key hydra.launcher.n_job"),
    ],
)
def test_settings_that_cannot_be(sweep, tmp_path, capsys, setting, sentence):
    assert sweep(POOL, f"hydra.launcher.{setting}", "seed=1,2") == 2
    said = capsys.readouterr()
    assert sentence in said.err
    assert (said.out, len(said.err.splitlines())) == ("", 1)
    assert not (tmp_path / "out").exists()
