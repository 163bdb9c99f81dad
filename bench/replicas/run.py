"""A run with `replicas=R`: R seeds trained at once, each with its own run directory, rows and end."""

import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import torch

from bench import images, plugins
from bench.config import BadInput, Impossible, identity
from bench.data import Data
from bench.engine import engine, prepare
from bench.experiment import Experiment
from bench.guard import require_time
from bench.job import Finished, earlier_run, explain, require_writable
from bench.model import VAE
from bench.problems import family
from bench.progress import progress_bar
from bench.replicas import Replicas
from bench.run import LOOK_EVERY, note_failure, record

End = tuple[str, str, dict, dict]  # status, reason, columns of `runs`, rows of the other tables


def replica(config: dict[str, Any], number: int) -> dict[str, Any]:
    """The configuration of one of the seeds: `number` more in `seed` and in each of `seeds`."""
    seeds = {stream: seed + number for stream, seed in config["seeds"].items()}
    return config | {"seed": config["seed"] + number, "seeds": seeds}


def together(config: dict[str, Any], many: bool) -> Iterator[Finished]:
    """Train all seeds of `config` and write a run directory for each, unless all are there; how each ended.

    A seed that is there and did not fail stays as it is. `many`: one job of a sweep, in which nothing is raised.

    Raises:
        BadInput: the configuration cannot be used; nothing is written.
    """
    plugins.build(config["estimator"])
    place = Path(config["output"]) / config["name"]
    configs = [replica(config, number) for number in range(config["replicas"])]
    directories = [place / identity(each) for each in configs]
    require_writable(place)
    earlier = [earlier_run(directory) for directory in directories]
    kept = [e for e in earlier if e and (e.status != "failed" or config["sweep"]["retry"] == "none")]
    if len(kept) < len(configs):
        ends: list[End]
        try:
            started = Together(configs, directories)
        except Exception as error:  # before the start
            if not many and isinstance(error, ValueError):
                raise BadInput(str(error)) from error
            if not many:
                raise
            ends = [("skipped" if isinstance(error, Impossible) else "failed", explain(error), {}, {})] * len(configs)
        else:
            ends = started.run(progress=not many and sys.stderr.isatty())
    for number, (each, directory, before) in enumerate(zip(configs, directories, earlier, strict=True)):
        what = f"seed={each['seed']}"
        if before in kept:
            assert before is not None
            if before.status == "skipped" and not many:
                raise Impossible(before.reason)
            yield before._replace(what=what)
            continue
        status, reason, row, rows = ends[number]
        outcome = record(each, directory, status, reason, row or None, rows or None)
        yield Finished(directory, outcome.status, outcome.reason, what=what)


class Together:
    """The experiments of all seeds, and their training as one.

    Args:
        configs: of each seed, resolved and checked.
        directories: of each seed, for the traceback of a failure.

    Raises:
        Impossible: the parts of the config do not go together, or cannot be trained at once.
        ValueError: a part asks for what there is not.
    """

    def __init__(self, configs: list[dict[str, Any]], directories: list[Path]):
        self.started, self.clock = datetime.now(UTC), time.perf_counter()
        self.config, self.directories = configs[0], directories
        torch.set_num_threads(self.config["threads"])
        first = Experiment(self.config)
        if reason := first.impossible():
            raise Impossible(reason)
        if not (isinstance(first.data, Data) and isinstance(first.model, VAE)):
            raise Impossible(f"replicas={len(configs)} trains VAEs; this problem takes seed=0,1,... with --multirun.")
        shared = None if first.data.binarisation == "static" else first.data  # static images are of a seed
        self.experiments = [first, *(Experiment(config, shared) for config in configs[1:])]
        seeds, self.example = [config["seeds"]["estimator"] for config in configs], first.example()
        self.trainer = Replicas([e.trainer for e in self.experiments], seeds, self.config["train"], self.example)
        self.engine = engine(self.trainer, self.config["engine"])
        self.alive = dict(enumerate(self.experiments))
        self.ends: dict[int, tuple[str, str, int]] = {}  # status, reason, step

    def run(self, progress: bool) -> list[End]:
        """Train to the end, measure, evaluate and time: status, reason, columns of `runs`, and rows of each seed."""
        try:
            self._go(progress)
            status, reason = "done", ""
        except Exception as error:
            failed = [note_failure(error, self.directories[number]) for number in self.alive]
            status, reason = "failed", failed[0]
        for number in self.alive:
            self.ends[number] = status, reason, self.trainer.step_count
        about = {"started": self.started.isoformat(timespec="seconds"), "seconds": time.perf_counter() - self.clock}
        found = []
        for number, experiment in enumerate(self.experiments):
            status, reason, step = self.ends[number]
            found.append((status, reason, about | {"step": step}, experiment.rows))
        return found

    def _go(self, progress: bool) -> None:
        trainer, first, steps = self.trainer, self.experiments[0], self.config["train"]["steps"]
        title, seconds = f"{len(self.experiments)} x {self.config['option']} on {family(self.config)}", 0.0
        with progress_bar(title, steps, progress) as advance:
            prepare(self.engine, self.example.expand(len(self.experiments), -1, -1))
            while True:
                step = trainer.step_count
                require_time(self.config["sweep"]["time_limit"], time.perf_counter() - self.clock, step, "starts anew")
                stops = first.stops(step)
                if step % LOOK_EVERY == 0 or stops:
                    start = time.perf_counter()
                    self._bury(trainer.diverged())  # waits for the device
                    seconds += time.perf_counter() - start
                for experiment in self.alive.values():
                    experiment.trainer.step_count, experiment.seconds = step, seconds
                    if stops:
                        experiment.stop(partial(advance, step))
                if step >= steps or not self.alive:
                    break
                start = time.perf_counter()
                self.engine.step()
                seconds += time.perf_counter() - start
                self._average()
                advance(trainer.step_count)
            for number, experiment in self.alive.items():
                images.save(self.directories[number], experiment)
                advance(steps, "timing")
                experiment.time()

    def _bury(self, diverged: list[int | None]) -> None:
        """End the seeds whose loss is no longer finite; the others go on."""
        for number, step in enumerate(diverged):
            if step is not None and number in self.alive:
                self.ends[number] = "diverged", f"The loss was not finite at step {step}.", self.trainer.step_count
                del self.alive[number]

    def _average(self) -> None:
        """What `measure.papers` averages of each seed's gradient."""
        if self.experiments[0].moving:
            self.trainer.hand_out()
            for experiment in self.alive.values():
                assert experiment.moving is not None
                experiment.moving.update()
