"""`hydra/launcher=slurm`, `slurm_local` and `ray`: composed, what Slurm is asked for, and sweeps where they can run."""

import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from hydra.core.utils import JobReturn, JobStatus

from bench.run.ending import Ending
from bench.sweep import clusters, job, launchers
from bench.tables import store
from tests.support import ends
from tests.support.packages import ROOT, run

SLURM = pytest.mark.skipif(not find_spec("submitit"), reason="needs the extra [slurm]")
RAY = pytest.mark.skipif(not find_spec("ray"), reason="needs the extra [ray]")


def statuses(folder: Path) -> list[str]:
    """How each complete run below the folder ended."""
    found = [store.read(marker.parent)["runs"].to_pylist()[0] for marker in folder.rglob(store.MARKER)]
    assert all(row["command"].startswith("python -m bench --config-dir") for row in found)
    return sorted(row["status"] for row in found)


class Inner:
    """Stands in for Hydra's launcher: returns, or raises, what it is given."""

    def __init__(self, *returned):
        self.returned = returned

    def launch(self, job_overrides, initial_job_idx):
        if isinstance(self.returned[0], Exception):
            raise self.returned[0]
        return self.returned


def returned(status, value):
    made = JobReturn(overrides=["seed=1"], status=status)
    made.return_value = value
    return made


class Some(clusters.Cluster):
    extra = "slurm"


@pytest.fixture
def cluster():
    job.start(job.Session())

    def make(*given):
        made = Some()
        made.inner = Inner(*given)
        return made

    return make


def test_endings_come_back_whether_the_job_returned_or_raised(cluster, capsys):
    done, failed = (
        Ending(status, "" if status == "done" else "It broke.", Path(status), label="seed=1")
        for status in ("done", "failed")
    )
    given = [
        returned(JobStatus.COMPLETED, [done]),
        returned(JobStatus.FAILED, job.JobFailed("It broke.", [failed])),
        returned(JobStatus.FAILED, RuntimeError("no such key")),
    ]
    ended = cluster(*given).launch([[], [], []], 0)
    assert [one.return_value for one in ended[:2]] == [[done], [failed]]  # and none of them raises
    assert job.current().endings == [done, failed, Ending("failed", "RuntimeError: no such key", label="seed=1")]
    assert job.current().many
    assert capsys.readouterr().out == "2 seed=1: failed: It broke.\n3 seed=1: failed: RuntimeError: no such key\n"


def test_a_launcher_that_gives_up_is_one_sentence(cluster):
    with pytest.raises(job.JobFailed, match=r"ended early \(OSError: no result\).* the same command"):
        cluster(OSError("no result\nat all")).launch([[]], 0)


def test_a_task_elsewhere_knows_the_command(monkeypatch):
    task = clusters.Elsewhere(lambda cfg: (cfg, sys.argv[1:], os.environ.get("TOLD")))
    task.argv, task.environment = ["bench", "-m", "seed=1"], {"TOLD": "yes"}
    monkeypatch.setattr(sys, "argv", [])
    monkeypatch.setenv("TOLD", "no")
    assert task("config") == ("config", ["-m", "seed=1"], "yes")


def test_launchers_register_twice():
    launchers.register()
    launchers.register()


@SLURM
def test_what_slurm_is_asked_for(tmp_path):
    (tmp_path / "bin").mkdir()
    for name, script in (("srun", "exit 0"), ("sbatch", f'cp "$1" {tmp_path}/asked.sh; echo refused >&2; exit 1')):
        (tmp_path / "bin" / name).write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / "bin" / name).chmod(0o755)
    settings = ("hydra/launcher=slurm", "hydra.launcher.partition=gpu", "hydra.launcher.gpus_per_node=1", "threads=3")
    arguments = ends.sweep(tmp_path / "mine", tmp_path / "out", *settings, "seed=1,2,3,4,5,6")
    path = f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}"
    done = run(sys.executable, "-m", "bench", *arguments, PATH=path)
    assert (done.returncode, done.stdout) == (1, "")
    *_, last = done.stderr.splitlines()
    assert last.startswith("hydra/launcher=slurm ended early (FailedJobError: refused);")
    asked = (tmp_path / "asked.sh").read_text()
    for line in ("array=0-5%6", "partition=gpu", "cpus-per-task=3", "time=240", "mem=8GB", "gpus-per-node=1"):
        assert f"#SBATCH --{line}\n" in asked


@SLURM
@pytest.mark.slow
def test_a_sweep_by_submitit(tmp_path):
    arguments = ends.sweep(
        tmp_path / "mine", tmp_path / "out", "hydra/launcher=slurm_local", "estimator.how=well,killed,fails"
    )
    done = run(sys.executable, "-m", "bench", *arguments)
    assert done.returncode == 1, done.stderr
    killed, fails, *_ = done.stdout.splitlines()
    assert re.fullmatch(r"2 estimator.how=killed: failed: Its job \d+ ended without a result, in state \w+\.", killed)
    assert fails == "3 estimator.how=fails: failed: RuntimeError: It broke."
    assert statuses(tmp_path / "out") == ["done", "failed", "failed"]


@RAY
@pytest.mark.slow
def test_a_sweep_by_ray(tmp_path):
    hows = "estimator.how=well,fails,killed"
    arguments = ends.sweep(tmp_path / "mine", tmp_path / "out", "hydra/launcher=ray", hows)
    command = [sys.executable, "-m", "bench", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 1, done.stderr
    assert "2 estimator.how=fails: failed: RuntimeError: It broke." in done.stdout.splitlines()
    assert re.search(r"3 estimator.how=killed: failed: WorkerCrashedError: .*", done.stdout)
    assert statuses(tmp_path / "out") == ["done", "failed", "failed"]
