"""The tables of a sweep as pandas DataFrames: `bench.load(DIR)`."""

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import pandas as pd


class Frames(NamedTuple):
    """The five tables of `docs/columns.md`, of all runs. All but `runs` also have the columns that say which runs
    belong together: family, setting, label (the estimator and what tells its configurations apart), and the runs'
    status."""

    runs: "pd.DataFrame"
    objective: "pd.DataFrame"
    gradient: "pd.DataFrame"
    cost: "pd.DataFrame"
    choices: "pd.DataFrame"


def load(*directories: str | Path) -> Frames:
    """Every complete run below the directories, or the runs of a report that lies in one.

    `runs` has a column `config.<key>` for each key of the configuration. Loads no torch. Problems with single runs are
    warnings; where nothing can be read it raises `bench.tables.SchemaError`, a ValueError of one sentence.
    """
    import warnings

    from bench.report.collection.collect import collect, find, widened
    from bench.tables.store import SchemaError

    if wrong := [given for given in directories if not isinstance(given, str | Path)]:
        raise SchemaError(f"bench.load needs folders, each as text or a path; got {wrong[0]!r}.")
    found = find(map(Path, directories))
    if not found:
        raise SchemaError(
            f"No complete run lies under {', '.join(map(str, directories))}; `python -m bench` makes one."
        )
    collection, problems = collect(found)
    for line in problems:
        warnings.warn(line, stacklevel=2)
    about = collection.units[["run", "family", "setting", "label", "status"]]
    frames = {name: table.to_pandas(use_threads=False) for name, table in collection.tables.items() if name != "runs"}
    runs = (
        widened(collection.tables["runs"])
        .to_pandas(use_threads=False)
        .merge(about[["run", "setting", "label"]], on="run", how="left")
    )
    return Frames(runs, **{name: frame.merge(about, on="run") for name, frame in frames.items()})
