"""Mirrors copy what the tables hold, and whatever happens to them is one line and no failed run. No network."""

import json
import re
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from hydra.core.utils import JobReturn, JobStatus

from bench.files import CONF
from bench.run.ending import Ending
from bench.sweep import job, mirrors
from bench.tables import store
from tests.support.ends import SMALL
from tests.support.packages import run
from tests.support.stand_in import stand_in_command
from tests.support.synthetic_runs import config, runs_row
from tests.support.synthetic_runs import tables as made

OPTIONS = sorted(file.stem for file in (CONF / "hydra" / "callbacks").glob("*.yaml"))


@pytest.fixture
def directory(tmp_path):
    """A complete run."""
    store.write(tmp_path / "a", made(runs_row(config("rloo", "vq", 3), "rloo")))
    return tmp_path / "a"


class Failing(mirrors.Mirror):
    package = "pandas"  # which is there

    def copy(self, run):
        self.seen = run
        raise OSError("no room\nat all")


class Opening(mirrors.Mirror):
    """It leaves a line in a file for all that it does."""

    package = "pandas"

    def __init__(self, file):
        self.file = Path(file)

    def open(self):
        self._say("opened")

    def copy(self, run):
        self._say(run.row["status"])

    def _say(self, word):
        self.file.write_text((self.file.read_text() if self.file.exists() else "") + f"{word}\n")


def ended(*finished, status=JobStatus.COMPLETED):
    returned = JobReturn(status=status)
    returned.return_value = job.JobFailed("", finished) if status == JobStatus.FAILED else list(finished)
    return returned


def test_a_run_as_mirrors_copy_it(directory):
    loaded = mirrors.mirrored(directory)
    objective = store.read(directory)["objective"].to_pylist()
    wanted = {(row["step"], row["elbo"]) for row in objective if row["split"] == "test"}
    assert {(p.step, p.value) for p in loaded.points if p.name == "objective/test/elbo"} == wanted
    assert loaded.final()["objective/test/elbo"] == max(wanted)[1]
    assert {"gradient/encoder/variance_noise", "cost/step/seconds"} <= loaded.final().keys()
    assert loaded.config["latent.family"] == "vq"
    assert loaded.row["seed"] == 3


def test_results_alone_are_copied_and_once(directory):
    endings = [Ending(status, directory=directory) for status in ("done", "diverged", "failed", "skipped")]
    endings += [Ending("done", directory=directory, already=True), Ending("failed")]
    for status in (JobStatus.COMPLETED, JobStatus.FAILED):
        assert mirrors.newly_ended(ended(*endings, status=status)._return_value) == [directory, directory]
    assert mirrors.newly_ended(RuntimeError("Hydra's own")) == []


def test_a_tracker_that_fails_is_one_line(directory, capsys):
    mirror = Failing()
    mirror.on_job_end(None, ended(Ending("done", directory=directory)))
    assert mirror.seen.row["family"] == "vq"
    assert capsys.readouterr() == ("", "The mirror pandas failed (OSError): no room.\n")


def test_a_package_that_is_missing_is_one_line_and_stops_nothing(directory, capsys):
    mirror = Failing()
    mirror.package = "wandb_of_nobody"
    mirror.on_multirun_start(None)
    mirror.on_job_end(None, ended(Ending("done", directory=directory)))
    assert re.match(r"No mirror: .* pip install 'estimator-bench\[wandb_of_nobody\]'\.\n$", capsys.readouterr().err)
    assert not hasattr(mirror, "seen")


@pytest.mark.parametrize(
    ("words", "status", "left"),
    [
        (["train.lr=fast"], 2, None),
        (["-m", "train.stepz=3,4"], 2, None),
        (["-m", "estimator=rloo,rlo", "hydra.sweeper.max_batch_size=1"], 2, None),
        (["train.steps=1"], 0, "opened\ndone\n"),
        (["-m", "train.steps=1,3", "hydra.sweeper.max_batch_size=1"], 0, "opened\ndone\ndiverged\n"),
        (["-m", "train.lr=fast"], 2, None),
        (["-m", "train.steps=1", "train.lr=fast,1e-3"], 1, "opened\ndone\n"),  # one job can run
    ],
)
def test_a_tracker_is_opened_once_and_never_for_a_command_that_is_refused(words, status, left, tmp_path, monkeypatch):
    file = tmp_path / "tracked"
    own = (f"+hydra.callbacks.own._target_={__name__}.Opening", f"+hydra.callbacks.own.file={file}")
    assert stand_in_command(tmp_path / "out", monkeypatch)(*words, *own) == status
    assert (file.read_text() if file.exists() else None) == left


def mirrored(option: str, output: Path, *arguments: str) -> str:
    """What the command that must end well says on standard error."""
    command = (sys.executable, "-m", "bench", *SMALL, f"hydra/callbacks={option}", f"output={output}", *arguments)
    done = run(*command, WANDB_MODE="offline", TF_CPP_MIN_LOG_LEVEL="3")
    assert done.returncode == 0, done.stderr
    return done.stderr


@pytest.mark.slow
def test_every_option_runs_with_or_without_its_package(tmp_path):
    missing = [option for option in OPTIONS if not find_spec(option)]
    said = mirrored(f"[{','.join(OPTIONS)}]", tmp_path, "hydra.callbacks.wandb.mode=offline")
    assert len([line for line in said.splitlines() if line.startswith("No mirror: ")]) == len(missing)
    assert "failed" not in said
    assert len(list(tmp_path.rglob(store.MARKER))) == 1


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of packages that are not ours
def test_tensorboard(tmp_path):
    pytest.importorskip("tensorboard", reason="needs the extra [tensorboard]")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    assert mirrored("tensorboard", tmp_path) == ""
    [marker] = tmp_path.rglob(store.MARKER)
    events = EventAccumulator(str(tmp_path / "runs" / "tensorboard" / marker.parent.name)).Reload()
    wanted = {}
    for point in mirrors.mirrored(marker.parent).points:
        wanted.setdefault(point.name, []).append((point.step, pytest.approx(point.value, rel=1e-6)))
    assert len(wanted) > 20
    for name, points in wanted.items():
        assert [(event.step, event.value) for event in events.Scalars(name)] == points
    assert "_hparams_/session_start_info" in events.summary_metadata


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_mlflow(tmp_path):
    mlflow = pytest.importorskip("mlflow", reason="needs the extra [mlflow]")
    sweep = ("hydra/launcher=pool", "hydra.launcher.n_jobs=2", "seed=1,2,3")
    assert mirrored("mlflow", tmp_path, "hydra.mode=MULTIRUN", *sweep) == ""
    client = mlflow.MlflowClient(f"sqlite:///{tmp_path}/runs/mlflow.db")
    copied = client.search_runs([client.get_experiment_by_name("runs").experiment_id])
    assert sorted(one.data.params["seed"] for one in copied) == ["1", "2", "3"]
    for one in copied:
        loaded = mirrors.mirrored(tmp_path / "runs" / one.data.tags["run"])
        assert one.data.metrics == loaded.final()
        assert one.data.params == {key: str(value) for key, value in loaded.config.items()}
        assert one.info.status == "FINISHED"
        assert json.loads(loaded.row["config"])["seed"] == int(one.data.params["seed"])
