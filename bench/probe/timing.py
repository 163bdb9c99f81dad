"""Timing of all estimators measured at one checkpoint, in turn, since times taken hours apart cannot be compared."""

import sys
from collections.abc import Mapping
from pathlib import Path

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


def time_together(measured: Mapping[Path, Experiment], sizes: list[int]) -> None:
    """Time gradient and step of all experiments in turn, then the gradient of a batch of each size; write table `cost`
    of their run directories anew. An experiment that cannot be timed keeps its rows, and one that is too slow for a
    size has no row of it. Both are reported on standard error."""
    if not measured or not next(iter(measured.values())).config["timing"]["repetitions"]:
        return
    first = next(iter(measured.values()))
    with own_stream(first.config["seeds"]["measure"], "timing"):
        subjects = dict(filter(None, (_subject(directory, made) for directory, made in measured.items())))
        works = {(d, what): work for d, subject in subjects.items() for what, work in subject.works.items()}
        found = _timed(works, first)
        rows = {
            directory: subject.rows({what: row for (d, what), row in found.items() if d == directory})
            for directory, subject in subjects.items()
        }
        for size in sizes:
            fits = {d: subject for d, subject in subjects.items() if _fits(rows[d], size)}
            if left := [measured[d].config["option"] for d in subjects if d not in fits]:
                print(f"Too long or too large to be timed with {size} examples: {', '.join(left)}.", file=sys.stderr)
            for (d, what), row in _timed({(d, "scaling"): s.of_size(size) for d, s in fits.items()}, first).items():
                about: CostRow = {"what": what, "engine": "eager", "batch_size": size}
                rows[d].append(about | subjects[d].about | row)
    for directory, timed in rows.items():
        _write(directory, [{"estimator": measured[directory].config["option"], **row} for row in timed])


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
