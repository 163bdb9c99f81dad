"""`python -m bench.status DIR...`: how far the sweeps in these folders are, why runs failed, what finishes them."""

import json
import os
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, NamedTuple

from bench.foreign import parsed
from bench.run import attempt
from bench.run.ending import OTHER, former
from bench.sweep import plan
from bench.sweep.planned import latest, named
from bench.tables import store
from bench.terminal import Parser, cell, plain, to_its_end

STATES = ("done", "running", "failed", "diverged", "skipped", "interrupted", "missing", "changed")
SKIPS = 3  # reasons for a skip that are shown
SHOWN = ("status", "reason", "estimator", "family", "seed", "command", "code", "config")  # columns of `runs`
UNFINISHED = ("missing", "interrupted", "failed", "changed")  # what the same command runs
LEFT = ("sweep.retry=keep", "sweep.retry=failed")  # of a command that leaves what other code made


class RunState(NamedTuple):
    """A run that was started, or that a plan names."""

    state: str
    reason: str = ""
    label: str = ""
    command: str = ""
    former: str = ""  # what made it, where that is not the code that is here


class Progress(NamedTuple):
    """How far an experiment is.

    Attributes:
        runs: by their identity; those that a plan names and nobody has started are among them.
        plans: the latest first.
    """

    runs: dict[str, RunState]
    plans: list[plan.Plan]


@to_its_end
def main(argv: Sequence[str] | None = None) -> int:
    """Exit status: 0; 1 while the same command would run something; 2 where there is nothing to look at."""
    parser = Parser(prog="python -m bench.status", description=(__doc__ or "").partition(": ")[2])
    parser.add_argument("directories", nargs="+", type=Path, metavar="DIR", help="searched for runs, recursively")
    parser.add_argument("--json", action="store_true", help="all of it for programs, as one JSON object")
    options = parser.parse_args(argv)
    directories = options.directories
    experiments: dict[Path, Progress] = {}
    for directory in directories:
        if not directory.is_dir():
            print(f"python -m bench.status: there is no directory {directory}.", file=sys.stderr)
            return 2
        experiments |= {folder: examine(folder, runs, plans) for folder, runs, plans in find(directory)}
    if not experiments:
        places = ", ".join(map(str, directories))
        print(f"python -m bench.status: no run lies under {places}; `python -m bench` makes one.", file=sys.stderr)
        return 2
    if options.json:
        print(json.dumps({str(folder): _plain(found) for folder, found in experiments.items()}, indent=1))
    else:
        show(experiments)
        for folder, progress in experiments.items():
            show_reasons(folder, progress)
            show_commands(progress)
    states = {run.state for progress in experiments.values() for run in progress.runs.values()}
    return 1 if states & {*UNFINISHED} else 0


def _plain(progress: Progress) -> dict[str, Any]:
    """What `--json` says of an experiment: how many runs are in which state, each run, and what would finish them."""
    count = Counter(run.state for run in progress.runs.values())
    return {
        "states": {state: count[state] for state in STATES},
        "runs": {name: run._asdict() for name, run in progress.runs.items()},
        "commands": {command: dict(Counter(states)) for command, states in commands(progress).items()},
    }


def find(directory: Path) -> Iterator[tuple[Path, list[Path], list[Path]]]:
    """Every folder with runs or plans: the folder, its run directories, its plans. A run directory is a folder too."""
    found: dict[Path, tuple[list[Path], list[Path]]] = {}
    for place, _, files in os.walk(directory.resolve()):
        if {store.MARKER, attempt.FILE, attempt.RESUME} & set(files):
            found.setdefault(Path(place).parent, ([], []))[0].append(Path(place))
        elif plans := [Path(place) / file for file in sorted(files) if fnmatch(file, plan.PATTERN)]:
            found.setdefault(Path(place), ([], []))[1].extend(plans)
    for folder in sorted(found):
        yield folder, *found[folder]


def examine(folder: Path, directories: list[Path], files: list[Path]) -> Progress:
    """The runs in these directories, and those that the plans in these files name."""
    runs = {directory.name: _run(directory) for directory in sorted(directories)}
    plans = sorted(filter(None, map(plan.read, files)), key=lambda p: str(p.get("started")), reverse=True)
    for planned in plans:
        for job in planned["jobs"]:
            label = " ".join(job["overrides"])
            if job["run"] is None:
                runs.setdefault(f"{planned['command']} {label}", RunState("failed", job.get("reason", ""), label))
            elif not named(job) & runs.keys():
                runs[job["run"]] = RunState("missing", "", label, planned["command"])
    last = latest(plans)
    return Progress({name: _judged(run, last.get(name, run.command)) for name, run in runs.items()}, plans)


def _judged(run: RunState, command: str) -> RunState:
    """A run that other code made, or that does not say which: the first is changed, unless the command leaves it."""
    changed = run.former == OTHER and not any(word in command for word in LEFT)
    reason = f"made {run.former}" if run.former else ""
    return run._replace(
        state="changed" if changed and run.state != "failed" else run.state,
        reason="; ".join(filter(None, [run.reason, reason])) if run.state != "failed" else run.reason,
    )


def _run(directory: Path) -> RunState:
    last = attempt.read(directory)
    label, command = (last.get("label") or "", last.get("command") or "") if last else ("", "")
    if last and (worker := attempt.worker(directory)):
        return RunState("running", f"{worker} is at step {last.get('step')} of {last.get('steps')}", label, command)
    if not (directory / store.MARKER).is_file():
        return RunState("interrupted", "", label, command)
    try:
        [row] = store.read_one(directory, "runs", SHOWN).to_pylist()
    except store.SchemaError as error:
        return RunState("failed", str(error), label, command)
    label, made = f"{row['estimator']} on {row['family']}, seed {row['seed']}", ""
    with suppress(ValueError, KeyError, TypeError):  # a configuration of whatever kind
        made = former(row["code"], parsed(row["config"]))
    return RunState(row["status"], row["reason"] or "", label, row["command"] or "", made)


def show(experiments: Mapping[Path, Progress]) -> None:
    """A row for each experiment: how many runs are in which state."""
    from rich.console import Console
    from rich.table import Column, Table

    numbers = (Column(state, justify="right") for state in STATES)
    table = Table(Column("experiment", overflow="fold"), *numbers, box=None, padding=(0, 1, 0, 0))
    for folder, progress in experiments.items():
        count = Counter(run.state for run in progress.runs.values())
        table.add_row(cell(_short(folder)), *(str(count[state] or "-") for state in STATES))
    Console().print(table)


def show_reasons(folder: Path, progress: Progress) -> None:
    """What there is to say of each state, the same reason once with the number of its runs and one of them. Of what was
    skipped, as sweeps over everything do by the dozen, the most common reasons."""
    for state in STATES:
        reasons = Counter(run.reason for run in progress.runs.values() if run.state == state and run.reason)
        shown = SKIPS if state == "skipped" and len(reasons) > SKIPS + 1 else len(reasons)
        for reason, count in reasons.most_common(shown):
            name, run = next((n, r) for n, r in progress.runs.items() if (r.state, r.reason) == (state, reason))
            which = f"{run.label or '?'}: {_short(folder / name) if (folder / name).is_dir() else 'not started'}"
            print(plain(f"{count} {state}: {reason} ({which}{', and others' if count > 1 else ''})"))
        if rest := reasons.total() - sum(count for _, count in reasons.most_common(shown)):
            more = f"{rest} {state} for {len(reasons) - shown} other reasons"
            print(plain(f"{more}: python -m bench.report {_short(folder)}"))


def show_commands(progress: Progress) -> None:
    """Print each command that would finish something."""
    for command, states in commands(progress).items():
        count = Counter(states)
        what = ", ".join(f"{count[state]} {state}" for state in UNFINISHED if count[state])
        print(plain(f"{what}: {command}"))


def commands(progress: Progress) -> dict[str, list[str]]:
    """Each command that would finish something, with the states of what it would; a run counts for the latest command
    that has it."""
    last, found = latest(progress.plans), dict[str, list[str]]()
    for name, run in progress.runs.items():
        if run.state in UNFINISHED and (command := last.get(name, run.command)):
            found.setdefault(command, []).append(run.state)
    return found


def _short(path: Path) -> str:
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) and path != here else str(path)


if __name__ == "__main__":
    sys.exit(main())
