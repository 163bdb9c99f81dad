"""Display names: what a report, a table for a paper and their figures call the labels."""

from pathlib import Path
from typing import TYPE_CHECKING

from bench.errors import BadInput
from bench.report.collection.collect import Collection

if TYPE_CHECKING:
    import pandas as pd


def read_names(path: Path) -> dict[str, str]:
    """The YAML's display names of labels and metrics. Raises BadInput where it is no mapping of words to words."""
    import yaml

    try:
        names = yaml.safe_load(path.read_text())
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise BadInput(f"--names: {path} is no YAML: {' '.join(str(error).split())}") from error
    if not isinstance(names, dict) or not all(isinstance(word, str) for pair in names.items() for word in pair):
        raise BadInput(f"--names: {path} needs one line `name: display name` for each name, and words alone.")
    return names


def renamed(collection: Collection, names: dict[str, str]) -> Collection:
    """The collection with display names for labels. Raises BadInput where two labels would have the same name."""
    if not names:
        return collection
    shown: dict[str, str] = {}
    for label in sorted(set(collection.units.label)):
        other = shown.setdefault(names.get(label, label), label)
        if other != label:
            raise BadInput(f"--names: {other} and {label} would both be called {names.get(label, label)}.")
    units, tuning = (called(frame, names, "label") for frame in (collection.units, collection.tuning))
    baseline = names.get(collection.baseline, collection.baseline)
    return collection._replace(units=units, tuning=tuning, baseline=baseline)


def called(table: "pd.DataFrame", names: dict[str, str], *columns: str) -> "pd.DataFrame":
    """The table with display names in these columns."""
    return table.assign(**{c: table[c].map(lambda label: names.get(label, label)) for c in columns})
