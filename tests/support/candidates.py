"""Queries that may have given a number of a page: every number of the tables that is it at the page's rounding."""

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pandas as pd

from tests.support import queries
from tests.support.rounding import agrees

KEYS = (
    "family",
    "setting",
    "label",
    "trained_with",
    "part",
)  # that a query of a report's table needs, where they differ
MOST = 6  # that are shown of one number


def folders(page: str, text: str) -> list[str]:
    """The tables that the page is about: those of its own folder, or of the folders that it links."""
    place = Path(page).parent
    named = [place.relative_to("results").as_posix()] if place.parts[:1] == ("results",) and place.parts[1:] else []
    named += re.findall(r"results/([\w/]+?)/?(?:README\.md|\)|#)", text)
    found = []
    for name in dict.fromkeys(named):
        for folder in [queries.RESULTS / name, *sorted((queries.RESULTS / name).glob("*/"))]:
            tables = sorted(file.stem for end in ("csv", "parquet") for file in folder.glob(f"*.{end}"))
            relative = folder.relative_to(queries.RESULTS).as_posix()
            is_report = any(table in ("comparison", "all_comparison") for table in tables)
            found += (
                [relative, f"{relative}:gradient"] if is_report else [f"{relative}/{t}" for t in dict.fromkeys(tables)]
            )
    return found


def candidates(page: str, text: str, stated: str, percent: bool) -> list[str]:
    """Queries that give a number at its rounding, the comparison's first; at most MOST, of a small count none."""
    found: list[str] = []
    if stated.isdigit() and int(stated) < 20 and not percent:
        return found
    for table in folders(page, text):
        for query, value in numbers(table):
            if agrees(stated, value, percent):
                found.append(query)
    return found[:MOST]


@cache
def numbers(table: str) -> list[tuple[str, float]]:
    """A query for every number of a table."""
    return list(_numbers(table))


def _numbers(table: str) -> Iterator[tuple[str, float]]:
    rows = queries.frame(table)
    if ":" in table:  # the last step is what is spoken of
        rows = rows[rows.step == rows.groupby("run").step.transform("max")]
    numeric = [c for c in rows.columns if pd.api.types.is_float_dtype(rows[c]) and not c.endswith(("_n", "_se"))]
    texts = [c for c in rows.columns if not pd.api.types.is_float_dtype(rows[c])]
    keys = [c for c in (KEYS if "label" in rows else texts) if c in rows and rows[c].nunique() > 1]
    keys += ["seed"] if ":" in table and rows.seed.nunique() > 1 else []
    for row in rows.to_dict("records"):
        chosen = " ".join(_filter(key, row[key]) for key in keys if str(row[key]))
        for column in numeric:
            if pd.notna(row[column]):
                yield (
                    f"{table} {chosen} {'last ' if ':' in table else ''}{column}".replace("  ", " "),
                    float(row[column]),
                )


def _filter(key: str, value: object) -> str:
    plain = key in ("family", "part") and " " not in str(value)
    return str(value) if plain else f"'{key}={value}'" if " " in str(value) else f"{key}={value}"
