"""Optional mirrors of finished runs: `hydra/callbacks=tensorboard`, `mlflow`, `wandb`, or several as a list.

A mirror reads the tables of a run that is complete and copies configuration, final numbers and curves to a tracker. It
changes no run and fails none: what goes wrong, a missing package included, is one line on standard error.
"""

import json
import logging
import sys
from abc import abstractmethod
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from hydra.experimental.callback import Callback

from bench.config.identity import flatten
from bench.config.sentences import first_line, needs_extra
from bench.tables import store
from bench.tables.schema import FLOAT, TABLES

if TYPE_CHECKING:
    from hydra.core.utils import JobReturn
    from omegaconf import DictConfig

# of each table, the columns that tell the rows of a step apart
GROUPS = {"objective": ("split",), "gradient": ("part",), "cost": ("what",), "choices": ("split", "part")}


class Point(NamedTuple):
    """One number of a run: `objective/test/elbo` at a step."""

    name: str
    step: int
    value: float


class MirroredRun(NamedTuple):
    """What a mirror copies: the row of `runs`, the configuration by dotted key, and every number."""

    row: dict[str, Any]
    config: dict[str, Any]
    points: list[Point]

    def final(self) -> dict[str, float]:
        """Each number at its last step."""
        return {point.name: point.value for point in sorted(self.points, key=lambda point: point.step)}


class Mirror(Callback):
    """Calls `copy` for each run that a job has finished, wherever the job runs."""

    package: ClassVar[str]
    begun = False

    def on_run_start(self, config: "DictConfig", **kwargs: Any) -> None:
        """Say before one run, in the process of the command, whether the package is missing."""
        if find_spec(self.package) is None:
            print(f"No mirror: {needs_extra(f'hydra/callbacks={self.package}', self.package)}", file=sys.stderr)

    on_multirun_start = on_run_start

    def begin(self) -> None:
        """Open the tracker, once: when the jobs of a sweep are composed, or a run has ended. A command that is refused
        makes no store."""
        if not self.begun and find_spec(self.package) is not None:
            self.begun = True
            self._guarded(self.open)

    def on_job_end(self, config: "DictConfig", job_return: "JobReturn", **kwargs: Any) -> None:
        """After each job, in its process."""
        if find_spec(self.package) is None:
            return
        for directory in newly_ended(job_return._return_value):  # its property raises where the job failed
            self.begin()
            self._guarded(lambda directory=directory: self.copy(mirrored(directory)))

    def open(self) -> None:  # most trackers need nothing
        """Make the tracker's store, before the first job."""

    @abstractmethod
    def copy(self, run: MirroredRun) -> None:
        """Copy one run."""

    def _guarded(self, work: Any) -> None:
        try:
            work()
        except Exception as error:
            print(f"The mirror {self.package} failed ({type(error).__name__}): {first_line(error)}", file=sys.stderr)


class TensorBoard(Mirror):
    """A folder of event files for each run, below `folder`."""

    package = "tensorboard"

    def __init__(self, folder: str):
        self.folder = folder

    def copy(self, run: MirroredRun) -> None:
        """Curves as scalars; configuration and final numbers as hyper-parameters."""
        from torch.utils.tensorboard import SummaryWriter

        with SummaryWriter(str(Path(self.folder) / run.row["run"])) as writer:
            for point in run.points:
                writer.add_scalar(point.name, point.value, point.step)
            plain = {k: v if isinstance(v, bool | int | float | str) else str(v) for k, v in run.config.items()}
            writer.add_hparams(plain, {f"final/{k}": v for k, v in run.final().items()}, run_name=".")


class MLflow(Mirror):
    """A run of MLflow for each run, in `experiment` of the store at `uri`."""

    package = "mlflow"

    def __init__(self, uri: str, experiment: str):
        self.uri, self.experiment = uri, experiment

    def open(self) -> None:
        """Make the store and the experiment: jobs that made them at once would get in each other's way."""
        from mlflow import MlflowClient

        logging.getLogger("mlflow").setLevel(logging.WARNING)
        if self.uri.startswith("sqlite:///"):
            Path(self.uri.removeprefix("sqlite:///")).parent.mkdir(parents=True, exist_ok=True)
        client = MlflowClient(self.uri)
        if client.get_experiment_by_name(self.experiment) is None:
            client.create_experiment(self.experiment)

    def copy(self, run: MirroredRun) -> None:
        """Configuration as parameters, curves as metrics; the status and the reason as tags."""
        from mlflow import MlflowClient
        from mlflow.entities import Metric, Param

        client, row = MlflowClient(self.uri), run.row
        found = client.get_experiment_by_name(self.experiment)
        tags = {name: str(row[name]) for name in ("run", "status", "reason", "commit", "command") if row[name]}
        made = client.create_run(
            found.experiment_id, run_name=f"{row['estimator']} {row['run']}", tags=tags
        ).info.run_id
        params = [Param(key, str(value)) for key, value in run.config.items()]
        metrics = [Metric(point.name, point.value, 0, point.step) for point in run.points]
        for start in range(0, len(params), 100):  # as many as MLflow takes at once
            client.log_batch(made, params=params[start : start + 100])
        for start in range(0, len(metrics), 1000):
            client.log_batch(made, metrics=metrics[start : start + 1000])
        client.set_terminated(made, "FINISHED" if row["status"] == "done" else "FAILED")


class WandB(Mirror):
    """A run of Weights & Biases for each run; `mode` offline needs no network, and `wandb sync` sends it later."""

    package = "wandb"

    def __init__(self, project: str, folder: str, mode: str):
        self.project, self.folder, self.mode = project, folder, mode

    def copy(self, run: MirroredRun) -> None:
        """Configuration, curves by step, final numbers as the summary."""
        import wandb

        Path(self.folder).mkdir(parents=True, exist_ok=True)
        settings = wandb.Settings(silent=True)
        name = f"{run.row['estimator']} {run.row['run']}"
        with wandb.init(
            project=self.project, dir=self.folder, mode=self.mode, name=name, id=run.row["run"], config=run.config,
            reinit="create_new", settings=settings,
        ) as made:  # fmt: skip
            for step in sorted({point.step for point in run.points}):
                made.log({point.name: point.value for point in run.points if point.step == step}, step=step)
            made.summary.update(run.final() | {"status": run.row["status"]})


def mirrored(directory: Path) -> MirroredRun:
    """A complete run as mirrors copy it."""
    read = {name: table.to_pylist() for name, table in store.read(directory).items()}
    [row] = read["runs"]
    return MirroredRun(row, dict(flatten(json.loads(row["config"]))), list(_points(read, row["step"] or 0)))


def _points(read: dict[str, list[dict[str, Any]]], last: int) -> Iterator[Point]:
    for table, groups in GROUPS.items():
        columns = [name for name, column in TABLES[table].items() if column.type == FLOAT]
        for row in read.get(table, []):
            for column in columns:
                if row[column] is not None:
                    name = "/".join((table, *(row[group] for group in groups), column))
                    yield Point(name, row.get("step", last), row[column])


def newly_ended(returned: Any) -> list[Path]:
    """The directories of the results that a job has finished; `returned` is what it gave or raised."""
    endings = returned if isinstance(returned, list) else getattr(returned, "endings", [])
    return [one.directory for one in endings if one.status in ("done", "diverged") and not one.already]
