"""The short table at the end of a run, of a sweep and of a probe, and the command that follows it."""

import json
import math
import shlex
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.garbage import seldom_searched
from bench.tables import store
from bench.tables.skipped import in_one_line
from bench.terminal import cell, plain, slow_bar

if TYPE_CHECKING:
    from bench.run.ending import Ending

COLUMNS = ("run", "estimator", "family", "seed", "status", "test ELBO", "log10 var", "ms/step")
SUMMARISED = {
    "runs": ("run", "estimator", "family", "seed", "status"),
    "objective": ("split", "elbo"),
    "gradient": ("part", "variance_noise"),
    "cost": ("what", "valid", "seconds"),
}

SHARED_COLUMNS = ("run", "estimator", "F / B", "ms/gradient", "variance", "bias²", "± 95 %")


@seldom_searched()
def show(directories: Iterable[Path]) -> None:
    """Print a line for each complete run directory: its last test ELBO (nats), encoder `variance_noise`, step time; one
    for all that were skipped."""
    from rich.console import Console
    from rich.table import Column, Table

    table = Table(
        *(Column(name, no_wrap=name != "estimator", overflow="fold") for name in COLUMNS),
        box=None,
        padding=(0, 1, 0, 0),
    )
    skipped: list[tuple[str, str]] = []
    there = [directory for directory in dict.fromkeys(directories) if (directory / store.MARKER).is_file()]
    with slow_bar("reading runs", len(there)) as advance:
        for done, directory in enumerate(there, 1):
            row = dict(zip(COLUMNS, summary(directory), strict=True))
            if row["status"] == "skipped":
                skipped.append((row["estimator"], row["family"]))
            else:
                table.add_row(*map(cell, row.values()))
            advance(done)
    if skipped:
        print(plain(in_one_line(skipped)))
    if table.row_count:
        Console().print(table)


def show_next(endings: Iterable["Ending"]) -> None:
    """Print the command that draws the runs that are done, one for each folder of runs."""
    done = dict.fromkeys(ending.directory for ending in endings if ending.directory and ending.status == "done")
    for place, count in Counter(run.parent for run in done if (run / store.MARKER).is_file()).items():
        print(plain(f"python -m bench.report {shlex.quote(str(place))} draws {'it' if count == 1 else 'them'}."))


def show_unfinished(endings: Iterable["Ending"]) -> None:
    """Print how many runs failed, each reason once with one of its runs, and how many another process works on."""
    endings, failed = list(endings), dict[str, list[str]]()
    for ending in endings:
        if ending.status == "failed":
            failed.setdefault(ending.reason, []).append(str(ending.directory or "a job that could not start"))
    if failed:
        print(f"{sum(map(len, failed.values()))} failed:")
    for reason, (one, *others) in failed.items():
        print(plain(f"  {one}{f' and {len(others)} more' if others else ''}: {reason}"))
    if running := sum(ending.status == "running" for ending in endings):
        print(f"{running} left to another process, which works on them.")


def show_former(endings: Iterable["Ending"]) -> None:
    """Print which runs were there already, made by other code or before code was recorded, and what became of them."""
    found: dict[tuple[str, bool], list[str]] = {}
    for ending in endings:
        if ending.former:
            found.setdefault((ending.former, ending.already), []).append(str(ending.directory))
    for (former, left), (one, *others) in found.items():
        what = "and left" if left else "and done again"
        more = f" and {len(others)} more" if others else ""
        print(plain(f"{1 + len(others)} had been made {former}, {what}: {one}{more}"))


def show_gone(endings: Iterable["Ending"]) -> int:
    """Print which runs ended well and are no longer where they were written; returns how many."""
    well = (ending.directory for ending in endings if ending.directory and ending.status != "running")
    gone = [directory for directory in dict.fromkeys(well) if not (directory / store.MARKER).is_file()]
    if gone:
        which = f"{gone[0]} and {len(gone) - 1} more are" if gone[1:] else f"{gone[0]} is"
        print(f"{which} no longer there: the folder was removed or renamed meanwhile.", file=sys.stderr)
    return len(gone)


def summary(directory: Path) -> list[str]:
    """The cells of `COLUMNS`; a dash where the run has no such number, or no valid timing."""
    found = {name: table.to_pylist() for name, table in store.read(directory, SUMMARISED).items()}
    [run] = found["runs"]
    elbo = _last(row["elbo"] for row in found.get("objective", []) if row["split"] == "test")
    noise = _last(row["variance_noise"] for row in found.get("gradient", []) if row["part"] == "encoder")
    steps = (row for row in found.get("cost", []) if row["what"] == "step")
    seconds = _last(row["seconds"] for row in steps if row.get("valid") is not False)
    return [
        run["run"], run["estimator"], run["family"], str(run["seed"]), run["status"],
        _number(elbo), _number(math.log10(noise) if noise else None), _number(seconds and 1000 * seconds),
    ]  # fmt: skip


def show_shared(directories: Iterable[Path]) -> None:
    """Print a table for each shared checkpoint: encoder `variance_noise` and `bias_sq` (nats²) of what was measured."""
    from rich.console import Console
    from rich.table import Column, Table

    shown: dict[str, Table] = {}
    for directory in dict.fromkeys(directories):
        run = store.read(directory)["runs"].to_pylist()[0]
        origin = json.loads(run["config"]).get("probe")
        if origin and run["status"] == "done":
            title = f"{run['family']}; shared checkpoint of {origin['trained_with']}, step {origin['step']}"
            columns = (Column(name, no_wrap=name != "estimator", overflow="fold") for name in SHARED_COLUMNS)
            empty = Table(*columns, title=cell(title), title_justify="left", box=None, padding=(0, 1, 0, 0))
            shown.setdefault(f"{title} {origin['digest']}", empty).add_row(*map(cell, shared_summary(directory)))
    for table in shown.values():
        Console().print(table)


def shared_summary(directory: Path) -> list[str]:
    """The cells of `SHARED_COLUMNS`; a dash where the measurement has no such number."""
    found = {name: table.to_pylist() for name, table in store.read(directory).items()}
    [run] = found["runs"]
    gradient: dict[str, Any] = next((row for row in found.get("gradient", []) if row["part"] == "encoder"), {})
    cost: dict[str, Any] = next((row for row in found.get("cost", []) if row["what"] == "gradient"), {})
    calls = [cost.get(f"evaluations_{way}") for way in ("forward", "backward")]
    seconds = None if cost.get("valid") is False else cost.get("seconds")
    error = gradient.get("bias_sq_se")
    numbers = [gradient.get("variance_noise"), gradient.get("bias_sq"), error and 1.96 * error]
    return [
        run["run"], run["estimator"], " / ".join(f"{n:g}" for n in calls) if cost else "-",
        _number(seconds and 1000 * seconds), *("-" if n is None else f"{n:.3g}" for n in numbers),
    ]  # fmt: skip


def _last(values: Iterable[Any]) -> Any:
    return next(reversed(list(values)), None)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
