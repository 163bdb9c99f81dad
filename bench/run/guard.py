"""The guard of one run: continues it after an interruption, saves its state, and enforces its time limit."""

import signal
import sys
import threading
import time
from collections.abc import Collection
from pathlib import Path
from typing import Any, cast

from bench.run import attempt, resume
from bench.run.checkpoint import path_of
from bench.run.failures import TimeLimit
from bench.run.state import State, TrainingState
from bench.run.training import Training

SIGNALS = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL}  # and their default handlers


def require_time(limit: float | None, seconds: float, step: int, then: str) -> None:
    """Raise TimeLimit if a run has taken `limit` seconds or more; `then` says what the same command does next."""
    if limit is not None and seconds >= limit:
        raise TimeLimit(
            f"Time limit of {limit:g} s reached at step {step}; the same command with a larger sweep.time_limit {then}."
        )


class Guard:
    """A context around the training, inside its random stream. The loop calls `look` before every step, and `step`.

    `loop.train` enters it. Entering continues from `resume.pt`, if there is one that fits. `look` writes that file
    every `sweep.checkpoint_seconds`, and an interruption or the time limit writes it once more. SIGINT and SIGTERM wait
    for the end of a step and interrupt anything else at once. A second SIGINT does not wait.

    Args:
        training: it has taken no step.
        directory: of the run; of several, that of the run recorded last.
        checkpoints: steps at which the model is kept beside the tables.
    """

    def __init__(self, training: Training, directory: Path, checkpoints: Collection[int] = ()):
        self.training, self.state = training, State(training)
        self.directory, self.checkpoints = directory, checkpoints
        settings = training.config.get("sweep", {})
        self.every, self.limit = settings.get("checkpoint_seconds"), settings.get("time_limit")
        self.stepping = True  # until the first look, since there is no state yet to continue from
        self.asked = False
        self.saved = time.perf_counter()
        self.replaced: dict[int, Any] = {}

    def seconds(self) -> float:
        """Wall-clock seconds of all attempts of the run together."""
        return self.training.wall.seconds()

    def __enter__(self) -> "Guard":
        self._continue()
        if threading.current_thread() is threading.main_thread():
            for number, usual in SIGNALS.items():
                if signal.getsignal(number) is usual:  # else the caller has a handler of its own
                    self.replaced[number] = signal.signal(number, self._interrupt)
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind and issubclass(kind, KeyboardInterrupt | TimeLimit):
            self._save()
        for number, usual in self.replaced.items():
            signal.signal(number, usual)

    def look(self) -> None:
        """Called between two steps, the only place where a run can be interrupted and continued."""
        self.state.look()
        self.stepping = False
        if self.asked:
            raise KeyboardInterrupt
        self.require_time()
        if self.every is not None and time.perf_counter() - self.saved >= self.every:
            self._save()

    def step(self) -> None:
        """One training step, which no signal interrupts."""
        self.stepping = True  # until the next look
        self.training.train_step()

    def require_time(self) -> None:
        """Raise TimeLimit if no time is left. Called before every step and every part of a stop."""
        then = "starts anew" if self.every is None else "continues"
        require_time(self.limit, self.seconds(), self.training.trainer.step_count, then)

    def _interrupt(self, number: int, frame: object) -> None:
        if self.asked and number == signal.SIGTERM:
            return  # a scheduler and the parent process may both send it: it is one request
        at_once = self.asked or not self.stepping
        self.asked = True
        if at_once:
            raise KeyboardInterrupt

    def _save(self) -> None:
        """Write the state of the last look, unless a step has begun since."""
        if self.every is None or self.stepping:
            return
        self.training.clock.settle()
        content = {**self.state.take(), "started": self.training.wall.started, "elapsed": self.seconds()}
        try:
            if reason := self.state.obstacle():
                raise ValueError(f"{reason} in the estimator, which no file of tensors and numbers can hold")
            resume.write_state(self.directory, self.training.config, content)
        except (OSError, ValueError) as error:
            print(f"{self.directory / attempt.RESUME} is not written: {error}.", file=sys.stderr)
            self.every = None
        self.saved = time.perf_counter()

    def _continue(self) -> None:
        path = self.directory / attempt.RESUME
        found = resume.read_state(self.directory, self.training.config)
        if found is None:
            return
        try:
            for step in self.checkpoints:
                if step < found["step"] and not path_of(self.directory, step).is_file():
                    raise ValueError(f"it is past step {step}, whose checkpoint is wanted")
            started, elapsed = str(found["started"]), float(found["elapsed"])
            self.state.put(cast(TrainingState, found))
        except Exception as error:  # its type depends on the content
            resume.ignore(path, error)
            return
        self.training.wall.go_on(started, elapsed)
        print(f"{self.directory} continues at step {found['step']}.", file=sys.stderr)
