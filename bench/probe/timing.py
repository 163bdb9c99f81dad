"""Timing of all estimators measured at one checkpoint, in turn, since times taken hours apart cannot be compared."""

import sys
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import cast

import torch

from bench.measure.clock import Work
from bench.measure.cost import Subject, in_turn
from bench.run import attempt
from bench.run.claim import About
from bench.run.experiment import Experiment
from bench.run.failures import explain
from bench.streams import own_stream
from bench.tables import store
from bench.tables.rows import CostRow

Key = tuple[Path, str]  # a run directory, and a piece of work: gradient, step or scaling
LONGEST, LARGEST = 2.0, 4 * 2**30  # the largest expected seconds and bytes of a gradient of another batch size


def lacks_times(directory: Path, sizes: list[int], several: bool) -> bool:
    """Whether a measurement of an earlier call lacks times: it was not timed with the others, or not at every batch
    size. The call was interrupted, then.

    Args:
        directory: of its tables.
        sizes: batch sizes.
        several: whether there are others.
    """
    rows = _rows(directory)
    return (several and not _in_turn(rows)) or any(not _has(rows, size) and _fits(rows, size) for size in sizes)


def time_together(measured: Mapping[Path, Experiment], sizes: list[int], earlier: Collection[Path] = ()) -> None:
    """Time gradient and step of all experiments in turn, then the gradient of a batch of each size. Table `cost` of
    their run directories is written after each of these. An experiment that cannot be timed keeps its rows, and one
    that is too slow for a size has no row of it. Both are reported on standard error.

    Args:
        measured: the experiments by run directory.
        sizes: batch sizes.
        earlier: run directories of earlier calls, of which only the missing times are taken.
    """
    if not measured or not next(iter(measured.values())).config["timing"]["repetitions"]:
        return
    first = next(iter(measured.values()))

    def write(directories: Iterable[Path]) -> None:
        for directory in directories:
            own: list[CostRow] = [{**row, "estimator": measured[directory].config["option"]} for row in rows[directory]]
            _write(directory, own)

    with own_stream(first.config["seeds"]["measure"], "timing"):
        subjects = dict(filter(None, (_subject(directory, made) for directory, made in measured.items())))
        rows = {directory: _rows(directory) if directory in earlier else [] for directory in subjects}
        alone = [directory for directory in subjects if not _in_turn(rows[directory])]
        found = _timed({(d, what): work for d in alone for what, work in subjects[d].works.items()}, first)
        for directory in alone:
            rows[directory] = subjects[directory].rows(
                {what: row for (d, what), row in found.items() if d == directory}
            )
        write(alone)
        for size in sizes:
            missing = [d for d in subjects if not _has(rows[d], size)]
            fits = {d: subjects[d] for d in missing if _fits(rows[d], size)}
            if left := [measured[d].config["option"] for d in missing if d not in fits]:
                print(f"Too long or too large to be timed with {size} examples: {', '.join(left)}.", file=sys.stderr)
            for (d, what), row in _timed({(d, "scaling"): s.of_size(size) for d, s in fits.items()}, first).items():
                about: CostRow = {"what": what, "engine": "eager", "batch_size": size}
                rows[d].append(about | subjects[d].about | row)
            write(fits)


def _rows(directory: Path) -> list[CostRow]:
    """The rows of table `cost` of a run directory; none where it cannot be read."""
    try:
        return cast(list[CostRow], store.read(directory)["cost"].to_pylist())
    except (store.SchemaError, OSError, KeyError):
        return []


def _in_turn(rows: list[CostRow]) -> bool:
    """Whether gradient and step were timed with those of others."""
    return any((row.get("interleaved") or 0) > 2 and row["what"] == "gradient" for row in rows)


def _has(rows: list[CostRow], size: int) -> bool:
    return any(row["what"] == "scaling" and row["batch_size"] == size for row in rows)


def _subject(directory: Path, experiment: Experiment) -> tuple[Path, Subject] | None:
    config = experiment.config
    try:
        return directory, Subject(
            experiment.trainer, experiment.batches("timing"), experiment.executes, experiment.compiling
        )
    except Exception as error:
        print(f"{config['option']} is not timed with the others: {explain(error)}", file=sys.stderr)
        return None


def _timed(works: dict[Key, Work], first: Experiment) -> dict[Key, CostRow]:
    """The columns of all works that run. An error of another work is reported on standard error."""
    for key, work in [*works.items()]:
        try:
            work()
        except Exception as error:
            print(f"{key[0]} is not timed with the others: {explain(error)}", file=sys.stderr)
            del works[key]
    return in_turn(works, first.device, first.rounds()) if works else {}


def _fits(rows: list[CostRow], size: int) -> bool:
    """Whether a gradient of `size` examples is within the limits, if time and memory grow with the batch."""
    row = next((row for row in rows if row["what"] == "gradient"), None)
    if row is None:
        return False
    times, memory = size / row["batch_size"], LARGEST
    if row["device"] == "cuda":
        memory = torch.cuda.mem_get_info()[0] // 2
    return times * row["seconds"] <= LONGEST and times * (row["peak_memory"] or 0) <= memory


def _write(directory: Path, rows: list[CostRow]) -> None:
    """Replace the table `cost` of a run directory, unless another process works on it."""
    try:
        tables = {name: table.to_pylist() for name, table in store.read(directory).items()}
        [found] = tables["runs"]
        run, step = found["run"], found["step"] or 0
        about: About = {"command": found["command"], "label": "timing", "steps": step}
        with attempt.claim(directory, about, lambda: step, store.version(directory)) as taken:
            if not taken and rows:
                store.write(directory, tables | {"cost": [{"run": run, **row} for row in rows]})
    except (store.SchemaError, OSError) as error:
        print(f"{directory} keeps its former times: {error}", file=sys.stderr)
