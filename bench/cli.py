"""The command line: `python -m bench [overrides]` is one run, and with `--multirun` or `-m` a sweep.

Installed it is the script `estimator-bench`, whose first word may also be one of `COMMANDS`.
"""

import importlib
import inspect
import logging
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn
from unittest.mock import patch

from bench.terminal import to_its_end
from bench.version import __version__

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from bench.run.ending import Ending
    from bench.sweep.job import Session

    Task = Callable[[DictConfig], list[Ending]]
    Jobs = Callable[[list[str], str, Task, Session], None]

COMMANDS = {
    "check": "bench.check",
    "clean": "bench.clean",
    "diff": "bench.diff.command",
    "export": "bench.export",
    "gpu": "bench.gpu.command",
    "list": "bench.list",
    "probe": "bench.probe.command",
    "published": "bench.published.command",
    "report": "bench.report.command",
    "speed": "bench.speed.command",
    "status": "bench.status",
    "tune": "bench.tune.command",
}
TRACEBACKS = "HYDRA_FULL_ERROR"


@to_its_end
def main(argv: Sequence[str] | None = None) -> int:
    """Exit status: 0; 1 where a run failed; 2 where the input is bad; 130 where interrupted."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if arguments and arguments[0] in COMMANDS:
        return importlib.import_module(COMMANDS[arguments[0]]).main(arguments[1:]) or 0
    if "--version" in arguments:
        print(f"estimator-bench {__version__}")
        return 0
    from bench.sweep.job import job

    return launch(arguments, "config", job, _summary)


def launch(
    arguments: list[str],
    config_name: str,
    task: "Task",
    show: "Callable[[Session], None]",
    do: "Jobs | None" = None,
) -> int:
    """Do `task` for every job that the arguments ask of the file `conf/<config_name>.yaml`, then `show` how they ended.
    The jobs are those of `jobs`, unless `do` has others.

    Exit status: as of `main`.
    """
    try:
        return _launch(arguments, config_name, task, show, do or jobs)
    except KeyboardInterrupt:
        print("Interrupted: finished runs are kept, and the same command goes on.", file=sys.stderr)
        return 130


def _launch(arguments: list[str], config_name: str, task: "Task", show: "Callable[[Session], None]", do: "Jobs") -> int:
    from bench.config.sentences import sentence
    from bench.sweep.job import JobFailed, Session, Stopped, start
    from bench.sweep.summary import show_former, show_gone

    session = start(Session())
    try:
        do(arguments, config_name, task, session)
    except Stopped as stopped:
        left = session.total - stopped.args[0]
        print(f"sweep.fail_fast=true: a run failed, and {left} jobs were not started.", file=sys.stderr)
    except Exception as error:
        message = sentence(error)
        if message is None or os.environ.get(TRACEBACKS) == "1":
            raise
        print(message, file=sys.stderr)
        return 1 if isinstance(error, JobFailed) else 2
    show_former(session.endings)
    show(session)
    return 1 if show_gone(session.endings) or session.failed() else 0


def _summary(session: "Session") -> None:
    """The table at the end of a sweep, or of a run, and the next command."""
    from bench.sweep.summary import show, show_next, show_unfinished

    done = [e.directory for e in session.endings if e.directory and (session.many or e.status == "done")]
    show(done)
    if session.many:
        show_unfinished(session.endings)
    show_next(session.endings)


def jobs(
    arguments: list[str], config_name: str, task: "Task", session: "Session", asked_for: list[str] | None = None
) -> None:
    """Do `task` for every job that the arguments ask of the file `conf/<config_name>.yaml`; how they ended is in
    `session`. What is wrong with the arguments, or with a single run, is raised. `asked_for` has what stands behind
    `python -m bench` in the command that repeats this, where that is not the arguments."""
    import hydra
    from hydra._internal.utils import get_args_parser

    from bench.config import plugins
    from bench.config.prepare import text
    from bench.config.sentences import first_line
    from bench.errors import BadInput
    from bench.files import CONF
    from bench.sweep import plan
    from bench.sweep.launchers import register as register_launchers
    from bench.sweep.loader import at_home, checked
    from bench.terminal import one_sentence

    def refuse(message: str) -> NoReturn:
        raise BadInput(one_sentence(message))

    if broken := [argument for argument in arguments if not text(argument)]:
        raise BadInput(f"{broken[0]!r} is not UTF-8 text.")
    arguments = [at_home(argument) for argument in arguments]
    flags = get_args_parser()
    flags.error = refuse  # type: ignore[method-assign]  # Hydra's own answer is a page of usage
    asked = flags.parse_intermixed_args(arguments)
    flags.parse_args = lambda: asked  # type: ignore[method-assign,assignment]  # Hydra's takes no flag in the middle
    if asked.experimental_rerun:
        raise BadInput("--experimental-rerun would run what a pickle says; give the overrides of the run instead.")
    plugins.register()
    register_launchers()
    if asked.config_dir:
        plugins.check_folder(Path(asked.config_dir))
    settings: dict[str, Any] = {"execution_whitelist": ["estimators.*", "bench.*"]}  # a parameter from Hydra 1.4 on
    settings = {k: v for k, v in settings.items() if k in inspect.signature(hydra.main).parameters}
    settings |= {"config_path": str(CONF), "config_name": config_name, **plugins.VERSION_BASE}
    command = hydra.main(**settings)(task)
    told = arguments if asked_for is None else asked_for
    with _quiet(told), plan.kept(["bench", *told], session, written=config_name == "config"):
        try:
            with checked(), patch.object(sys.modules["hydra.main"], "get_args_parser", lambda: flags):
                command()
        except BadInput:
            raise
        except ValueError as error:  # Hydra's own, since no job raises here
            raise BadInput(first_line(error)) from error
    if session.error:
        raise session.error


@contextmanager
def _quiet(arguments: list[str]) -> Iterator[None]:
    """Hydra reads these arguments, raises its errors instead of printing them, and does not announce every job."""
    argv, tracebacks = sys.argv, os.environ.get(TRACEBACKS)
    launcher, root = logging.getLogger("hydra._internal.core_plugins.basic_launcher"), logging.getLogger()
    before = [*root.handlers], root.level  # Hydra's stay for as long as the process, which may do more than this
    sys.argv, os.environ[TRACEBACKS] = [argv[0], *arguments], "1"
    launcher.handlers, launcher.propagate = [logging.NullHandler()], False
    try:
        yield
    finally:
        sys.argv = argv
        launcher.handlers, launcher.propagate = [], True
        root.handlers[:] = before[0]
        root.setLevel(before[1])
        os.environ.pop(TRACEBACKS)
        if tracebacks is not None:
            os.environ[TRACEBACKS] = tracebacks
