"""Find run directories, read them one by one, and put the good ones together."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pyarrow as pa

from bench.foreign import parsed
from bench.report.collection import labels, tuned
from bench.report.collection.fixed import fixed
from bench.report.collection.joined import joined
from bench.report.collection.saved import read_saved, saved
from bench.report.collection.tuned import PANEL, UNIT
from bench.tables.schema import OWN_TRAINING, TABLES, arrow_schema
from bench.tables.store import MARKER, SchemaError, read
from bench.terminal import slow_bar

if TYPE_CHECKING:
    import pandas as pd

BASELINE = "rloo"  # unbiased, for every family, and its only hyper-parameter is the number of evaluations
OWN_TRAJECTORY = -1  # the checkpoint of a run on its own trajectory; else the step of a shared one
Group = tuple[Any, ...]  # the values of PANEL or of UNIT that some rows have in common


class Collection(NamedTuple):
    """Runs put together: the arrow tables of `bench.schema`, and `units`: a row for each run.

    The columns of `units`: run, estimator, seed, status, reason, unbiased, code, tuned, those of PANEL, label, and
    `conditions`: the part of the setting that says how runs were trained or measured differently. `directories` are
    those of the runs, where they were read from run directories. `tuning` has the rows of that table, with label and
    the columns of PANEL where their tuning is at its end; the points of such a one are no units. `baseline` is what all
    others are compared with in table `ranks`.
    """

    tables: dict[str, pa.Table]
    units: "pd.DataFrame"
    directories: dict[str, Path]
    tuning: "pd.DataFrame"
    baseline: str = BASELINE

    def joined(self, table: str) -> "pd.DataFrame":
        """The rows of a table next to their unit's columns; runs that ended well only. An infinity is NaN: neither is
        a measurement."""
        return joined(table, self.tables[table], self.units)

    def measured(self, *, shared: bool) -> "Collection":
        """What was measured at shared checkpoints alone, or along the runs' own trajectories alone."""
        kept = self.units[(self.units.trained_with != OWN_TRAINING) == shared]
        return self._replace(units=kept.reset_index(drop=True))


def find(directories: Iterable[Path]) -> list[Path]:
    """Every complete run directory below these, in a fixed order; where there is none below one, the report in it.

    Raises SchemaError or OSError where one cannot be searched.
    """
    found = set()
    for directory in directories:
        if not directory.is_dir():
            raise SchemaError(f"There is no directory {directory}.")
        next(directory.iterdir(), None)  # rglob passes over what it may not read
        runs = {marker.parent.resolve() for marker in directory.rglob(MARKER)}
        report = None if runs else saved(directory)
        found |= runs | ({report.resolve()} if report else set())
    return sorted(found)


def unfinished(directories: Iterable[Path]) -> int:
    """Run directories below these that are not complete: still running, or interrupted."""
    below = {path.resolve() for directory in directories for path in directory.rglob("*") if _named_by_hash(path)}
    return sum(not (path / MARKER).is_file() for path in below)


def _named_by_hash(path: Path) -> bool:
    return len(path.name) == 12 and set(path.name) <= set("0123456789abcdef") and path.is_dir()


def collect(found: Iterable[Path]) -> tuple[Collection, list[str]]:
    """Read what `find` found; also one line for each run that was left out. Raises SchemaError where none is left."""
    best: dict[str, tuple[tuple[Any, ...], dict[str, pa.Table]]] = {}
    problems: list[str] = []
    found = list(found)
    directories: dict[str, Path] = {}
    for directory, tables in _readable(found, problems):
        try:
            row = tables["runs"].to_pylist()[0]
            labels.check(parsed(row["config"]))
        except (ValueError, KeyError, IndexError) as error:
            problems.append(f"{directory} has no row of runs with a config of this suite: {error}.")
            continue
        rank = (row["status"] == "done", row["started"] or "")  # of two copies of a run, the later that ended well
        if row["run"] in best:
            problems.append(f"{directory} is another copy of run {row['run']}: only the later one counts.")
        if row["run"] not in best or rank > best[row["run"]][0]:
            best[row["run"]] = rank, tables
            directories[row["run"]] = directory
    if not best:
        raise SchemaError(f"None of the run directories can be read: {problems[0]}")
    kept = [tables for _, tables in best.values()]
    merged = {
        name: pa.concat_tables(
            [arrow_schema(name).empty_table(), *(t[name] for t in kept if name in t)]
        ).combine_chunks()
        for name in TABLES
    }
    trials = tuned.read(found, problems)
    units, lines = _units(merged, trials)
    return Collection(merged, trials.counted(units), directories, tuned.joined(trials, units)), problems + lines


def _readable(found: list[Path], problems: list[str]) -> Iterator[tuple[Path, dict[str, pa.Table]]]:
    """The tables of each run; adds a line to `problems` for each directory that cannot be read."""
    with slow_bar("reading runs", len(found)) as advance:
        for done, directory in enumerate(found, 1):
            try:
                if saved(directory) == directory:
                    yield from ((directory, tables) for tables in read_saved(directory))
                else:
                    yield directory, read(directory)
            except (SchemaError, OSError) as error:
                problems.append(str(error))
            advance(done)


def _units(tables: dict[str, pa.Table], trials: tuned.Tuned) -> tuple["pd.DataFrame", list[str]]:
    import pandas as pd

    columns = ["run", "estimator", "family", "objective", "seed", "status", "reason", "unbiased", "started", "code"]
    mended = fixed(tables["runs"].select([*columns, "config", "command"]).to_pylist())  # their keys name no good run
    runs = [
        row for row in tables["runs"].select([*columns, "config", "command"]).to_pylist() if row["run"] not in mended
    ]
    frame = pd.DataFrame([{name: row[name] for name in columns} for row in runs])
    configs = [trials.without(row["run"], labels.flatten(json.loads(row["config"]))) for row in runs]
    frame["tuned"] = frame.run.isin(trials.runs)
    frame["trained_with"] = [config.get("probe.trained_with", OWN_TRAINING) for config in configs]
    frame["checkpoint"] = [config.get("probe.step", OWN_TRAJECTORY) for config in configs]
    frame["setting"] = ""
    frame["conditions"] = ""
    for _, rows in frame.groupby("family"):
        keys = labels.setting_keys([configs[i] for i in rows.index])
        frame.loc[rows.index, "setting"] = [labels.describe(configs[i], keys) for i in rows.index]
    for _, rows in frame.groupby(PANEL):
        keys = labels.unequal_keys([configs[i] for i in rows.index])
        frame.loc[rows.index, "conditions"] = [labels.describe(configs[i], keys) for i in rows.index]
    frame["setting"] = (frame.setting + " " + frame.conditions).str.strip()
    frame["label"] = frame.estimator
    panels = {key: [configs[i] for i in panel.index] for key, panel in frame.groupby(PANEL)}
    for _, rows in frame.groupby("estimator"):
        own = {key: [configs[i] for i in panel.index] for key, panel in rows.groupby(PANEL)}
        keys = labels.label_keys(list(own.values()), [panels[key] for key in own])
        frame.loc[rows.index, "label"] = [
            f"{frame.estimator[i]} {labels.describe(configs[i], keys)}".strip() for i in rows.index
        ]
    frame["label"] += frame.tuned.map({True: f" {tuned.WORD}", False: ""})
    # The same seed twice under one label is not two seeds: the later one counts. The points of a tuning share a label.
    frame["seeds"] = [
        run
        if trials.is_point(run)
        else json.dumps({k: v for k, v in c.items() if labels.under(k, labels.SEEDS)}, sort_keys=True)
        for run, c in zip(frame.run, configs, strict=True)
    ]
    frame["rank"] = [
        (status == "done", started or "") for status, started in zip(frame.status, frame.started, strict=True)
    ]
    kept = frame.sort_values("rank", kind="stable").drop_duplicates([*UNIT, "seed", "seeds"], keep="last").sort_index()
    dropped = sorted(set(frame.run) - set(kept.run))
    lines = [f"Run {run} has the configuration and seed of a later run, which counts in its place." for run in dropped]
    lines += [
        f"Run {run} failed and run {good} did not, with another key: it counts in its place."
        for run, good in sorted(mended.items())
    ]
    return kept.drop(columns=["seeds", "rank", "started"]).reset_index(drop=True), lines


def widened(runs: pa.Table) -> pa.Table:
    """The runs with a column `config.<key>` for each config key: numeric where all its values are, else text."""
    configs = [labels.flatten(json.loads(text)) for text in runs["config"].to_pylist()]
    for key in sorted({key for config in configs for key in config}):
        runs = runs.append_column(f"config.{key}", _array([config.get(key) for config in configs]))
    return runs


def _array(values: list[Any]) -> pa.Array:
    present = [v for v in values if v is not None]
    if present and all(isinstance(v, bool) for v in present):
        return pa.array(values, pa.bool_())
    if present and all(isinstance(v, int | float) and not isinstance(v, bool) for v in present):
        return pa.array(values, pa.int64() if all(isinstance(v, int) for v in present) else pa.float64())
    return pa.array([v if v is None or isinstance(v, str) else json.dumps(v) for v in values], pa.string())
