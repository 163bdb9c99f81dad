"""Whether the intervals of two numbers support that one is smaller."""

import math
import re

import pandas as pd

from tests.support.queries import frame, number, parse


def below(smaller: str, larger: str) -> bool:
    """Whether the first is smaller than the second with 95 %: by the pairs of the report where both stand there, which
    are paired by seed and hold for all pairs of a panel at once, and else by both intervals as independent ones."""
    a, b = number(smaller), number(larger)
    if (told := _paired(smaller, larger)) is not None:
        return told
    half = math.hypot(a.high - a.value, b.value - b.low)
    return a.value + half < b.value  # NaN: nothing supports it


def _paired(smaller: str, larger: str) -> bool | None:
    if any(re.search(r" [/*-] |^call |^-?[\d.]+$|:", side) for side in (smaller, larger)):
        return None
    one, other = parse(smaller), parse(larger)
    name = one.column.removesuffix("_encoder")
    keys = ["family", "objective", "setting", "trained_with"]
    if one.column != other.column or one.table != other.table or len(one.rows) != 1 or len(other.rows) != 1:
        return None
    if "label" not in one.rows or not one.rows[keys].iloc[0].equals(other.rows[keys].iloc[0]):
        return None
    pairs, panel = frame(f"{one.table}:pairs"), one.rows.iloc[0]
    for first, second in ((one, other), (other, one)):
        labels = [query.rows.label.iloc[0] for query in (first, second)]
        rows = pairs[(pairs[["A", "B"]] == labels).all(axis=1)]
        rows = rows[(rows[keys] == panel[keys]).all(axis=1)]
        if len(rows) == 1 and f"{name}_separated" in rows and pd.notna(rows[f"{name}_separated"].iloc[0]):
            ratio = rows[f"{name}_ratio"].iloc[0]
            return bool(rows[f"{name}_separated"].iloc[0]) and bool(ratio < 1 if first is one else ratio > 1)
    return None
