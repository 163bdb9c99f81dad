"""Tables that a report has written, read back as if their run directories were still there.

The tables of runs are called `all_<table>`, so that the pattern `**/gradient.parquet` finds run directories alone; in
reports of before they are called as a run's are. `digests.json` beside them has the SHA-256 of each, and a table that
differs is refused; the oldest reports have none. A report that was killed may have some of its files in the hidden
folder NEXT: see `bench.report.collection.folder`.
"""

import hashlib
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from bench.files import replace
from bench.foreign import content, parsed
from bench.tables.parquet import from_parquet, parquet
from bench.tables.schema import OF_SOME, SCHEMA, TABLES, arrow_schema
from bench.tables.store import SchemaError, completed

DIGESTS = "digests.json"
KEPT = "comparison.parquet"  # what only a report has
NEXT = ".report"  # within a report's folder: files of the report that are not in their place yet


def stem(table: str) -> str:
    """The name of a table's files in a report, without what they end in."""
    return f"all_{table}" if table in TABLES else table


def write_tables(tables: dict[str, pa.Table], directory: Path, *, as_csv: bool) -> None:
    """Write each table as Parquet, and as CSV beside it if asked: empty is null, text is quoted, and what a spreadsheet
    would take for a formula begins with an apostrophe. The digests of the Parquet files come last."""
    directory.mkdir(parents=True, exist_ok=True)
    contents = {f"{stem(name)}.parquet": parquet(table) for name, table in tables.items()}
    digests = {name: hashlib.sha256(stored).hexdigest() for name, stored in contents.items()}
    if as_csv:
        contents |= {f"{stem(name)}.csv": csv_bytes(table) for name, table in tables.items()}
    for name, stored in contents.items():
        replace(directory / name, stored)
    replace(directory / DIGESTS, json.dumps(digests, indent=1).encode())


def saved(directory: Path) -> Path | None:
    """The folder of a report: this one, or `report` in it; None where neither is one. No run directory is."""
    places = (directory, directory / "report")
    return next((p for p in places if (p / KEPT).is_file() or (p / NEXT / KEPT).is_file()), None)


def read_saved(directory: Path) -> list[dict[str, pa.Table]]:
    """The tables of each run of a report. Those of an older schema are read too: what they lack is null, and what the
    schemas share has the same meaning.

    Raises SchemaError where a table is missing or damaged, of a later schema, or without a column that it needs.
    """
    digests = _digests(directory)
    whole = {name: _read(directory, name, digests) for name in TABLES}
    versions = whole["runs"]["schema"].to_pylist()
    if max(versions, default=0) > SCHEMA:
        raise SchemaError(
            f"{directory} has tables of schema {max(versions)}, and this version reads schema {SCHEMA} and older: read "
            "it with the version that wrote it."
        )
    return [
        {name: table.filter(pc.equal(table["run"], run)) for name, table in whole.items()}
        for run in whole["runs"]["run"].to_pylist()
    ]


def _digests(directory: Path) -> dict[str, str] | None:
    """SHA-256 of the tables by the names of their files; None where the report has none. What waits to be put in its
    place is the report."""
    for place in (directory / NEXT, directory):
        try:
            return {str(name): str(digest) for name, digest in dict(parsed(content(place / DIGESTS))).items()}
        except (FileNotFoundError, NotADirectoryError):
            continue
        except (OSError, ValueError, TypeError):
            return {}
    return None


def _read(directory: Path, name: str, digests: dict[str, str] | None) -> pa.Table:
    names = [f"{stem(name)}.parquet", f"{name}.parquet"]
    there = (n in digests if digests is not None else (directory / n).is_file() for n in names)
    found = next((n for n, it_is in zip(names, there, strict=True) if it_is), None)
    if found is None and name in OF_SOME:
        return arrow_schema(name).empty_table()
    path = directory / (found or names[0])
    try:
        table = from_parquet(_stored(path, None if digests is None else digests.get(path.name, "")))
    except (OSError, pa.ArrowException):
        problem = "is missing, truncated or not as it was written: write the report again."
        raise SchemaError(f"{path} {problem}") from None
    for field in arrow_schema(name):
        if not field.nullable and field.name not in table.column_names:
            raise SchemaError(f"{path} has no column {field.name}, which table {name} needs.")
    return completed(table, name, path, TABLES[name])


def _stored(path: Path, digest: str | None) -> bytes:
    """The file with this digest, in its place or waiting for it; first where it waits, whence it may go meanwhile."""
    if digest is None:
        return content(path)
    for place in (path.parent / NEXT / path.name, path):
        try:
            stored = content(place)
        except OSError:
            continue
        if hashlib.sha256(stored).hexdigest() == digest:
            return stored
    raise OSError


def csv_bytes(table: pa.Table) -> bytes:
    """The table as CSV that no spreadsheet takes for formulas."""
    from pyarrow import csv

    for i, field in enumerate(table.schema):
        if field.type == pa.string():
            table = table.set_column(i, field, pa.array(map(_no_formula, table[field.name].to_pylist()), pa.string()))
    sink = pa.BufferOutputStream()
    csv.write_csv(table, sink)
    return sink.getvalue().to_pybytes()


def _no_formula(text: str | None) -> str | None:
    if text and text.lstrip()[:1] in ("=", "+", "-", "@") and not _is_number(text):
        return f"'{text}"
    return text


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
