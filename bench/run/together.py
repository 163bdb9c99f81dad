"""The training of several seeds as one, with the stops of each."""

import time
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from bench.data.datasets import Data
from bench.errors import Impossible
from bench.model.vae import VAE
from bench.problems import family
from bench.run import images
from bench.run.device import set_up
from bench.run.experiment import Experiment
from bench.run.failures import note_failure
from bench.run.guard import Guard
from bench.run.provenance import provenance
from bench.run.single import LOOK_EVERY
from bench.run.state import StateOfAll
from bench.terminal import progress_bar
from bench.train.engine import engine, prepare
from bench.train.replicas import Replicas

End = tuple[str, str, dict, dict]  # status, reason, columns of `runs`, rows of the other tables


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
        self.began, self.clock = datetime.now(UTC), time.perf_counter()
        self.config, self.configs, self.directories = configs[0], configs, directories
        set_up(self.config)
        first = Experiment(self.config)
        if reason := first.impossible():
            raise Impossible(reason)
        if not (isinstance(first.data, Data) and isinstance(first.model, VAE)):
            raise Impossible(f"replicas={len(configs)} trains VAEs; this problem takes seed=0,1,... with --multirun.")
        shared = None if first.data.binarisation == "static" else first.data  # static images are of a seed
        self.experiments = [first, *(Experiment(config, shared) for config in configs[1:])]
        self.device, self.example = first.device, first.example()
        seeds = [config["seeds"]["estimator"] for config in configs]
        self.trainer = Replicas([e.trainer for e in self.experiments], seeds, self.config["train"], self.example)
        self.engine = engine(self.trainer, self.config["engine"])
        self.ends: dict[int, tuple[str, str, int]] = {}  # status, reason, step
        self.seconds = 0.0  # of training, without the stops

    @property
    def alive(self) -> dict[int, Experiment]:
        """The seeds that have not ended."""
        return {number: e for number, e in enumerate(self.experiments) if number not in self.ends}

    def about(self, number: int) -> dict[str, Any]:
        """What the claim of a seed says of it."""
        label = f"{self.config['option']} on {family(self.config)}, seed {self.configs[number]['seed']}"
        command = provenance(self.config["device"], self.config["threads"])["command"]
        return {"command": command, "steps": self.config["train"]["steps"], "label": label}

    def run(self, mine: list[int], progress: bool) -> dict[int, End]:
        """Train to the end, measure, evaluate and time; how each of the seeds that are `mine` ended.

        The last of them has `resume.pt`, since it is written down last.
        """
        guard = Guard(StateOfAll(self), self.directories[mine[-1]], (), self.began, self.clock)
        try:
            self._go(mine, progress, guard)
            status, reason = "done", ""
        except Exception as error:
            failed = [note_failure(error, self.directories[number]) for number in mine if number in self.alive]
            status, reason = "failed", failed[0] if failed else ""
        self.ends |= dict.fromkeys(self.alive, (status, reason, self.trainer.step_count))
        about = {"started": guard.started, "seconds": guard.seconds()}
        found = {}
        for number in mine:
            status, reason, step = self.ends[number]
            found[number] = status, reason, about | {"step": step}, self.experiments[number].rows
        return found

    def train_step(self) -> None:
        """One step of all, on the training's clock."""
        start = time.perf_counter()
        self.engine.step()
        self.seconds += time.perf_counter() - start
        self._average()

    def settle(self) -> None:
        """Let the device finish, on the training's clock."""
        first = self.experiments[0]
        first.seconds = self.seconds
        first.settle()
        self.seconds = first.seconds

    def _go(self, mine: list[int], progress: bool, guard: Guard) -> None:
        trainer, first, steps = self.trainer, self.experiments[0], self.config["train"]["steps"]
        title = f"{len(self.experiments)} x {self.config['option']} on {family(self.config)}"
        with progress_bar(title, steps, progress) as advance, guard:
            prepare(self.engine, self.example.expand(len(self.experiments), -1, -1))
            while True:
                guard.look()
                step = trainer.step_count
                stops = first.stops(step)
                if step % LOOK_EVERY == 0 or stops:
                    start = time.perf_counter()
                    self._bury(trainer.diverged())  # waits for the device
                    self.seconds += time.perf_counter() - start
                for experiment in self.alive.values():
                    experiment.trainer.step_count, experiment.seconds = step, self.seconds
                    if stops:
                        experiment.stop(guard.saying(partial(advance, step)))
                if step >= steps or not self.alive:
                    break
                guard.step()
                advance(trainer.step_count)
            for number, experiment in self.alive.items():
                if number in mine:
                    guard.saying(partial(advance, steps))("timing")
                    experiment.time()
                    images.save(self.directories[number], experiment)

    def _bury(self, diverged: list[int | None]) -> None:
        """End the seeds whose loss is no longer finite; the others go on."""
        for number, step in enumerate(diverged):
            if step is not None and number not in self.ends:
                self.ends[number] = "diverged", f"The loss was not finite at step {step}.", self.trainer.step_count

    def _average(self) -> None:
        """What `measure.papers` averages of each seed's gradient."""
        if self.experiments[0].moving:
            self.trainer.hand_out()
            for experiment in self.alive.values():
                assert experiment.moving is not None
                experiment.moving.update()
