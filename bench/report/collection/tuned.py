"""The runs of `python -m bench.tune` among the others: the points that were tried, and the chosen ones again."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from bench.report.collection.labels import FlatConfig
from bench.report.collection.saved import NEXT
from bench.tables import tuning
from bench.tables.store import SchemaError

if TYPE_CHECKING:
    import pandas as pd

PANEL = ["family", "objective", "setting", "trained_with", "checkpoint"]  # what is never mixed in one panel
UNIT = [*PANEL, "label"]
LR, TUNING_LR, STEPS = "train.lr", "train.tuning_lr", "train.steps"
WORD = "tuned"  # of the label of what was chosen


class Tuned(NamedTuple):
    """The rows of the tables `tuning`, and the same by run: those of tunings that came to their end."""

    rows: list[dict[str, Any]]
    runs: dict[str, dict[str, Any]]

    def is_point(self, run: str) -> bool:
        """Whether it stands in table `tuning` alone: it was tried, and says nothing that was not chosen for."""
        return run in self.runs and self.runs[run]["role"] == "point"

    def counted(self, units: "pd.DataFrame") -> "pd.DataFrame":
        """The units without the points, where there is anything else."""
        points = units.run.map(self.is_point)
        return units if points.all() else units[~points].reset_index(drop=True)

    def without(self, run: str, config: FlatConfig) -> FlatConfig:
        """The configuration without what the tuning chose: the others are not trained otherwise for it."""
        if run not in self.runs:
            return config
        row = self.runs[run]
        chosen = {word.partition("=")[0] for word in row["values"].split()}
        chosen |= {TUNING_LR} if config.get(TUNING_LR) == config.get(LR) else set()
        chosen |= {STEPS} if row["share"] < 1 else set()
        return {key: value for key, value in config.items() if key not in chosen}


def read(found: Iterable[Path], problems: list[str]) -> Tuned:
    """The tunings beside these run directories, and in these reports; adds a line to `problems` for each that cannot be
    read. A run that two commands have at the same point counts once."""
    found = list(found)
    files = {file for folder in {directory.parent for directory in found} for file in folder.glob(tuning.PATTERN)}
    files |= {file for directory in found for file in _of_report(directory)}
    tables: list[list[dict[str, Any]]] = []
    for file in sorted(files):
        try:
            tables.append(tuning.read(file))
        except SchemaError as error:
            problems.append(str(error))
    rows: dict[tuple[Any, ...], dict[str, Any]] = {}
    runs: dict[str, dict[str, Any]] = {}
    for table in sorted(tables, key=len, reverse=True):
        ended = {row["subject"] for row in table if row["role"] == "fresh" and row["run"]}
        for i, row in enumerate(table):
            rows.setdefault((row["run"] or i, row["subject"], row["role"], row["share"]), row)
            if row["run"] and row["subject"] in ended and (row["role"] == "fresh" or row["run"] not in runs):
                runs[row["run"]] = row
    return Tuned(list(rows.values()), runs)


def _of_report(directory: Path) -> Iterable[Path]:
    return (file for place in (directory / NEXT, directory) if (file := place / tuning.IN_REPORT).is_file())


def joined(trials: Tuned, units: "pd.DataFrame") -> "pd.DataFrame":
    """The rows, those of ended tunings with the columns of PANEL and the label of their unit.

    Two estimators may share a point, as a preset and its class do, and then its run. The label is that of the fresh
    runs which are the estimator's own, where there are such.
    """
    frame = tuning.table(trials.rows).to_pandas(use_threads=False)
    if frame.empty:
        return frame.reindex(columns=[*frame.columns, *UNIT])
    of_runs = units.loc[units.run.isin(trials.runs), ["run", *UNIT]].assign(own=units.estimator)
    frame = frame.merge(of_runs, on="run", how="left")
    fresh = frame[(frame.role == "fresh") & (frame.own == frame.estimator)]
    labels = {key: found.label.iloc[0] for key, found in fresh.groupby(["subject", *PANEL])}
    keys = frame[["subject", *PANEL]].itertuples(index=False, name=None)
    frame["label"] = [labels.get(key, label) for key, label in zip(keys, frame.label, strict=True)]
    return frame.drop(columns="own")
