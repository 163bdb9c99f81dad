"""Measurement at a shared checkpoint: all estimators have the same frozen model and the same probe batches.

Each estimator is first tuned to the model, and has noise of its own.
"""

import json
import shlex
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

import torch

from bench.data.datasets import Data
from bench.errors import BadInput, DataError
from bench.measure.gradient.reference import Reference, draw_reference
from bench.probe.timing import lacks_times, time_together
from bench.problems import NoData
from bench.run import attempt, rows
from bench.run.checkpoint import Checkpoint
from bench.run.claim import About
from bench.run.clock import WallClock
from bench.run.device import set_up
from bench.run.ending import Ending, taken
from bench.run.experiment import Experiment
from bench.run.failures import note_failure
from bench.run.record import record
from bench.settings import Config, EstimatorGroup, Measurement
from bench.streams import derived, own_stream
from bench.tables import store
from bench.tables.rows import RunRow
from estimators import Estimator

UNUSED = ("evaluate", "sweep")  # groups of the configuration that no measurement depends on


class SharedCheckpoint:
    """A checkpoint, with the data and the reference that all estimators measured at it share.

    Args:
        config: a configuration with this latent, this model and the settings of the measurement; its estimator is not
            read.
        checkpoint: the model to measure at.
        tuning_steps: training steps of an estimator's own parameters and state before its measurement.

    Raises:
        BadInput: the checkpoint is of another latent or another model.
    """

    def __init__(self, config: Config, checkpoint: Checkpoint, tuning_steps: int):
        checkpoint.require(config)
        self.config, self.checkpoint, self.tuning_steps = config, checkpoint, tuning_steps
        self.origin = checkpoint.origin()
        self.data: Data | NoData | None = None
        self.reference: Reference | None = None
        self.measured: dict[Path, Experiment] = {}  # by run directory; `time` times them in turn
        self.earlier: dict[Path, tuple[str, EstimatorGroup]] = {}  # measured by earlier calls: option and estimator

    def described(self, option: str, estimator: EstimatorGroup) -> Measurement:
        """The configuration that identifies one estimator's measurement: every value that can change a number."""
        whole: Mapping[str, Any] = self.config
        config = {group: values for group, values in whole.items() if group not in UNUSED}
        train = {key: value for key, value in whole["train"].items() if key not in ("steps", "lr")}
        measure = {key: value for key, value in whole["measure"].items() if key != "at"}
        config |= {"option": option, "estimator": estimator, "seed": self.checkpoint.config["seed"]}
        probe = self.origin | {"tuning_steps": self.tuning_steps}
        return cast(Measurement, config | {"train": train, "measure": measure, "probe": probe})

    def probe(
        self,
        option: str,
        estimator: EstimatorGroup,
        directory: Path,
        advance: Callable[..., None] = lambda done, doing="": None,
    ) -> Ending:
        """Tune, measure and time one estimator, and write its run directory.

        An impossible estimator is recorded as skipped, an error as failed, with `traceback.txt`. Nothing happens if
        another process works on this directory.

        Args:
            option: the estimator's option or preset.
            estimator: its complete configuration.
            directory: the run directory.
            advance: called with the steps done and a word for what is being done.

        Raises:
            BadInput: the checkpoint does not fit the data, or the reference is not possible; nothing is written.
            DataError: the data are missing, or too few for a batch; nothing is written.
        """
        wall, version = WallClock(), store.version(directory)
        set_up(self.config)
        described, step = self.described(option, estimator), self.checkpoint.step
        experiment = self.at_checkpoint({"option": option, "estimator": estimator, "seed": described["seed"]})
        command = shlex.join(["python", "-m", "bench.probe", *sys.argv[1:]])
        about: About = {
            "command": command,
            "steps": step,
            "label": f"{option} at step {step} of {self.origin['trained_with']}",
        }
        with attempt.claim(directory, about, lambda: step, version) as refused:
            if refused:
                return taken(directory, refused)
            try:
                if isinstance(experiment, Exception):
                    raise experiment
                if reason := experiment.impossible():
                    ending = Ending("skipped", reason)
                elif reason := self._measure(experiment, advance):
                    ending = Ending("diverged", reason, step=step)
                else:
                    ending = Ending("done", step=step)
            except Exception as error:
                ending = Ending("failed", note_failure(error, directory, described), step=step)
            columns: RunRow = {"command": command, "started": wall.started, "seconds": wall.seconds()}
            if isinstance(experiment, Exception):
                return record(described, directory, ending, columns=columns)
            if ending.status == "done":
                self.measured[directory] = experiment
            made = experiment.estimator
            return record(described, directory, ending, estimator=made, columns=columns, rows=experiment.rows)

    def time(self, sizes: list[int]) -> None:
        """Time all estimators that this process has measured here in turn, also with batches of these sizes, and
        those of earlier calls that were interrupted before it."""
        known, several = [], len(self.measured) + len(self.earlier) > 1
        for directory, (option, estimator) in self.earlier.items() if self.config["timing"]["repetitions"] else ():
            if lacks_times(directory, sizes, several):
                set_up(self.config)
                seed = self.described(option, estimator)["seed"]
                made = self.at_checkpoint({"option": option, "estimator": estimator, "seed": seed})
                if isinstance(made, Experiment):
                    self.measured[directory] = made
                    known.append(directory)
        time_together(self.measured, sizes, known)
        self.measured, self.earlier = {}, {}

    def at_checkpoint(self, described: Mapping[str, Any]) -> Experiment | Exception:
        """An experiment with this option, estimator and seed at the checkpoint, or the error that prevented it."""
        try:
            experiment = Experiment(cast(Config, {**self.config, **described}), self.data)
            self.data = experiment.data
            self.checkpoint.load_into(experiment.model)
        except (BadInput, DataError):
            raise
        except Exception as error:
            return error
        return experiment

    def _measure(self, experiment: Experiment, advance: Callable[..., None]) -> str | None:
        """Tune, measure and time one estimator. Returns None, or a sentence if it is not finite after tuning."""
        seeds, identity = self.config["seeds"], json.dumps(experiment.config["estimator"], sort_keys=True)
        trainer, step = experiment.trainer, self.checkpoint.step
        if trainer.tuned or type(trainer.estimator).update is not Estimator.update:
            with own_stream(seeds["estimator"], f"shared tuning {identity}"):
                for done in range(self.tuning_steps):
                    advance(done, "tuning")
                    trainer.tune()
            if not all(torch.isfinite(p).all() for p in trainer.estimator.state_dict().values()):
                return f"{experiment.config['option']} was not finite after {self.tuning_steps} steps of tuning."
        advance(self.tuning_steps, "measuring")
        if experiment.reference is not None and self.reference is None:
            settings = self.config["measure"]
            draws, memory = settings["reference_draws"], settings["memory"]
            with own_stream(seeds["measure"], "shared reference"):
                self.reference = draw_reference(experiment.reference, experiment.probe, draws, memory=memory)
        reference = None if experiment.reference is None else self.reference
        seed = derived(seeds["measure"], f"shared {identity}")
        rows.add_gradient(experiment, step, self.origin["trained_with"], seed, reference)
        advance(self.tuning_steps, "timing")
        rows.add_cost(experiment)
        return None
