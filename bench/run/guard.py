"""Watches over one run: continues it where it was left, writes down where it stands, and keeps its time."""

import signal
import sys
import threading
import time
from collections.abc import Callable, Collection
from datetime import datetime
from pathlib import Path
from typing import Any

from bench.run import attempt, resume
from bench.run.checkpoint import path_of
from bench.run.failures import TimeLimit
from bench.run.state import State

SIGNALS = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL}  # and who answers them before


def require_time(limit: float | None, seconds: float, step: int, then: str) -> None:
    """Raise TimeLimit where a run has taken as many seconds; `then` is what the same command does next."""
    if limit is not None and seconds >= limit:
        raise TimeLimit(
            f"Time limit of {limit:g} s reached at step {step}; the same command with a larger sweep.time_limit {then}."
        )


class Guard:
    """A context around the training, inside its random stream. `look` at every step, and let `step` take the step.

    SIGINT and SIGTERM wait for the end of a step, interrupt anything else at once, and leave `resume.pt`. A second
    SIGINT does not wait.

    Args:
        state: of what is run, as new.
        directory: of the run.
        checkpoints: steps at which the model is kept beside the tables.
        started: when the run began, and `clock`: what `time.perf_counter` said then.
    """

    def __init__(self, state: State, directory: Path, checkpoints: Collection[int], started: datetime, clock: float):
        self.state, self.experiment, self.directory, self.checkpoints = state, state.experiment, directory, checkpoints
        self.started, self.clock = started.isoformat(timespec="seconds"), clock
        settings = self.experiment.config.get("sweep", {})
        self.every, self.limit = settings.get("checkpoint_seconds"), settings.get("time_limit")
        self.earlier = 0.0  # seconds of earlier attempts
        self.stepping = True  # until the first look: what there is could not be continued
        self.asked = False
        self.saved = time.perf_counter()
        self.replaced: dict[int, Any] = {}

    def seconds(self) -> float:
        """Wall-clock time of the run, with that of the attempts it continues."""
        return self.earlier + time.perf_counter() - self.clock

    def __enter__(self) -> "Guard":
        self._continue()
        if threading.current_thread() is threading.main_thread():
            for number, usual in SIGNALS.items():
                if signal.getsignal(number) is usual:  # else somebody else takes care of it
                    self.replaced[number] = signal.signal(number, self._interrupt)
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind and issubclass(kind, KeyboardInterrupt | TimeLimit):
            self._save()
        for number, usual in self.replaced.items():
            signal.signal(number, usual)

    def look(self) -> None:
        """Between two steps: the only place where the run can be left and continued."""
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
        self.experiment.train_step()

    def saying(self, say: Callable[[str], None]) -> Callable[[str], None]:
        """`say`, called between the parts of a stop, which keeps the time too."""

        def said(doing: str) -> None:
            self.require_time()
            say(doing)

        return said

    def require_time(self) -> None:
        """Raise TimeLimit where there is no time left."""
        then = "starts anew" if self.every is None else "continues"
        require_time(self.limit, self.seconds(), self.experiment.trainer.step_count, then)

    def _interrupt(self, number: int, frame: object) -> None:
        if self.asked and number == signal.SIGTERM:
            return  # a scheduler sends it to all processes, and so does whoever started them: it is one request
        at_once = self.asked or not self.stepping
        self.asked = True
        if at_once:
            raise KeyboardInterrupt

    def _save(self) -> None:
        """Write where the run stood at the last look, unless a step has begun since."""
        experiment = self.experiment
        if self.every is None or self.stepping:
            return
        experiment.settle()
        content = self.state.take() | {"started": self.started, "elapsed": self.seconds()}
        try:
            if reason := self.state.obstacle():
                raise ValueError(f"{reason} in the estimator, which no file of tensors and numbers can hold")
            resume.save(self.directory, experiment.config, content)
        except (OSError, ValueError) as error:
            print(f"{self.directory / attempt.RESUME} is not written: {error}.", file=sys.stderr)
            self.every = None
        self.saved = time.perf_counter()

    def _continue(self) -> None:
        path = self.directory / attempt.RESUME
        found = resume.load(self.directory, self.experiment.config)
        if found is None:
            return
        try:
            for step in self.checkpoints:
                if step < found["step"] and not path_of(self.directory, step).is_file():
                    raise ValueError(f"it is past step {step}, whose checkpoint is wanted")
            earlier, started = float(found["elapsed"]), str(found["started"])
            self.state.put(found)
        except Exception as error:  # of a kind that the content decides
            resume.ignore(path, error)
            return
        self.earlier, self.started = earlier, started
        print(f"{self.directory} continues at step {found['step']}.", file=sys.stderr)
