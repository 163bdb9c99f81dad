"""The short table at the end of a sweep."""

import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from bench import tables

COLUMNS = ("run", "estimator", "family", "seed", "status", "test ELBO", "log10 var", "ms/step")


def show(directories: Iterable[Path]) -> None:
    """Print a line for each complete run directory: its last test ELBO (nats), encoder `variance_noise`, step time."""
    from rich.console import Console
    from rich.table import Column, Table

    table = Table(
        *(Column(name, no_wrap=name != "estimator", overflow="fold") for name in COLUMNS),
        box=None,
        padding=(0, 1, 0, 0),
    )
    for directory in dict.fromkeys(directories):
        if (directory / tables.MARKER).is_file():
            table.add_row(*summary(directory))
    if table.row_count:
        Console().print(table)


def summary(directory: Path) -> list[str]:
    """The cells of `COLUMNS`; a dash where the run has no such number."""
    found = {name: table.to_pylist() for name, table in tables.read(directory).items()}
    [run] = found["runs"]
    elbo = _last(row["elbo"] for row in found.get("objective", []) if row["split"] == "test")
    noise = _last(row["variance_noise"] for row in found.get("gradient", []) if row["part"] == "encoder")
    seconds = _last(row["seconds"] for row in found.get("cost", []) if row["what"] == "step")
    return [
        run["run"], run["estimator"], run["family"], str(run["seed"]), run["status"],
        _number(elbo), _number(math.log10(noise) if noise else None), _number(seconds and 1000 * seconds),
    ]  # fmt: skip


def _last(values: Iterable[Any]) -> Any:
    return next(reversed(list(values)), None)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
