"""The short table at the end of a tuning."""

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.tables import tuning
from bench.terminal import cell, plain

if TYPE_CHECKING:
    from bench.settings import Tuning

COLUMNS = ("estimator", "chosen", "bound", "on the edge", "points", "seconds", "fresh test bound")


def show(files: Iterable[Path]) -> None:
    """Print a row for each subject of these tables: what was chosen by which bound, what it cost, and what it is worth
    on the fresh seeds."""
    from rich.console import Console
    from rich.table import Column, Table

    there = [file for file in files if file.is_file()]
    for file in there:
        columns = (Column(name, overflow="fold", min_width=24 if name == "chosen" else None) for name in COLUMNS)
        table = Table(*columns, box=None, padding=(0, 1, 0, 0))
        for row in summary(tuning.read(file)):
            table.add_row(*map(cell, row))
        Console(width=None if sys.stdout.isatty() else 160).print(table)
        print(plain(f"{file} has every point; python -m bench.report {file.parent} draws them."))


def besides(settings: "Tuning") -> str:
    """What the command takes beside the configuration of a run, but for the list of points."""
    from omegaconf import OmegaConf

    tune = {key: value for key, value in settings["tune"].items() if key != "points"}
    shown = OmegaConf.to_yaml(OmegaConf.create({"budget": settings["budget"], "tune": tune}))
    return f"== Besides ==\n{shown}tune.points: docs/tuning.md\n"


def summary(rows: list[dict[str, Any]]) -> Iterator[tuple[str, ...]]:
    """The cells of `COLUMNS`."""
    for subject in dict.fromkeys(row["subject"] for row in rows):
        points = [row for row in rows if row["subject"] == subject and row["role"] == "point"]
        whole = [row for row in points if row["share"] == 1 and row["chosen"]]
        tests = [row["bound_test"] for row in rows if row["subject"] == subject and row["role"] == "fresh"]
        count, seconds = len({row["point"] for row in points}), sum(row["seconds"] or 0 for row in points)
        chosen = short(whole[0]["values"]) if whole else "none: no point has a bound"
        edge = (whole[0]["edge"] if whole else None) or "-"
        bounds = [row["bound"] for row in whole], tests
        yield subject, chosen, _mean(bounds[0]), edge, str(count), f"{seconds:.0f}", _mean(bounds[1])


def short(values: str) -> str:
    """`lr=0.001 k=4` of the overrides of a point."""
    return " ".join(word.removeprefix("train.").removeprefix("estimator.") for word in values.split())


def _mean(values: list[float | None]) -> str:
    present = [value for value in values if value is not None]
    return f"{sum(present) / len(present):.2f}" if present else "-"
