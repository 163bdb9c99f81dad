"""`bench.run` and `bench.sweep`: the commands of the same names from Python, with their tables."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import torch
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig

from bench.cli import jobs
from bench.config.sentences import sentence
from bench.errors import BadInput
from bench.report.frames import Frames, load
from bench.run.ending import Ending, line
from bench.sweep.job import Session, Stopped, job, start
from bench.terminal import bars, progress_bar, watched

Overrides = Sequence[str] | Mapping[str, Any]
PLAIN = re.compile(r"[\w./:@+-]+")


def run(overrides: Overrides = (), *, progress: bool | None = None) -> Frames:
    """One run, or R of them with `replicas=R`, as `python -m bench` makes it; the tables of `bench.load`.

    A run that is there already is not made again.

    Args:
        overrides: as on the command line, `["estimator=rloo", "train.steps=200"]`, or a dict of them.
        progress: whether to show a bar; None: on a terminal and in a notebook.

    Raises:
        BadInput: a key or a value is wrong, or the parts do not go together.
    """
    return _made([_override(key, value) for key, value in _pairs(overrides)], progress)


def sweep(overrides: Overrides, *, progress: bool | None = None) -> Frames:
    """A run for each combination of values, as `python -m bench --multirun`; the tables of `bench.load`.

    Finished runs are kept, so that the same call goes on. A run that fails or is impossible is a row of `runs`, with
    its reason.

    Args:
        overrides: as on the command line, `["estimator=rloo,disarm", "seed=0,1"]`, or a dict in which a list holds the
            values, `{"estimator": ["rloo", "disarm"], "seed": [0, 1]}`; `"hydra/launcher": "pool"` makes several at
            once.
        progress: whether to show a bar; None: on a terminal and in a notebook.

    Raises:
        BadInput: a key or a value is wrong.
    """
    given = [
        f"{key}={','.join(value_of(v) for v in value)}" if isinstance(value, list | tuple) else _override(key, value)
        for key, value in _pairs(overrides)
    ]
    return _made(["--multirun", *given], progress)


def _pairs(overrides: Overrides) -> list[tuple[str, Any]]:
    if isinstance(overrides, Mapping):
        return [*overrides.items()]
    if isinstance(overrides, str) or not all(isinstance(each, str) for each in overrides):
        raise BadInput(f"overrides needs a list of texts 'key=value', or a dict; got {overrides!r}.")
    return [(each, None) for each in overrides]


def _override(key: str, value: Any) -> str:
    """Of a dict `key=value`; what was a line of the command stays as it is."""
    return key if value is None and "=" in key else f"{key}={value_of(value)}"


def value_of(value: Any) -> str:
    """As Hydra reads it."""
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    if isinstance(value, list | tuple):
        return f"[{','.join(map(value_of, value))}]"
    text = str(value)
    return text if not isinstance(value, str | Path) or PLAIN.fullmatch(text) else f"'{_quoted(text)}'"


def _quoted(text: str) -> str:
    return re.sub(r"(\\*)'", r"\1\1\\'", text)


class _Told(Session):
    """Endings that move a bar, and are not printed."""

    def __init__(self, stack: ExitStack):
        super().__init__()
        self.stack = stack
        self.advance: Callable[..., None] | None = None

    def tell(self, number: int | None, ending: Ending) -> None:
        if self.total and self.advance is None:
            self.advance = self.stack.enter_context(progress_bar("sweep", self.total, watched()))
        if self.advance:
            self.advance(len(self.endings), line(ending.label, ending))


def _made(arguments: list[str], progress: bool | None) -> Frames:
    """Do the jobs of a command; the tables of its runs."""
    with ExitStack() as stack, _hydra_left_alone(), bars(progress):
        session = start(_Told(stack))
        try:
            jobs(arguments, "config", job, session)
        except Stopped:
            pass  # sweep.fail_fast: what was made is in the tables
        except BadInput:
            raise
        except Exception as error:
            if (said := sentence(error)) is None:
                raise
            raise BadInput(said) from error
        finally:
            start(Session())
    directories = [*dict.fromkeys(ending.directory for ending in session.endings if ending.directory)]
    if not directories:
        raise BadInput(next((ending.reason for ending in session.endings), "No run was asked for."))
    return load(*directories)


@contextmanager
def _hydra_left_alone() -> Iterator[None]:
    """The global state of Hydra and PyTorch's threads are afterwards what they were, whatever happened: a notebook may
    have its own."""
    outer, settings = GlobalHydra.instance(), HydraConfig.instance()
    before, threads = (outer.hydra, settings.cfg), torch.get_num_threads()
    outer.hydra = None
    try:
        yield
    finally:
        GlobalHydra.instance().hydra, HydraConfig.instance().cfg = before
        torch.set_num_threads(threads)
