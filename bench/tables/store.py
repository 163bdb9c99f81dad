"""How the tables of a run reach the disk: whole or not at all, and checked against the schema.

A run directory holds one Parquet file a table and the marker `complete.json`, which is written last: without the
marker the directory is not complete, whatever else lies in it. The marker has the SHA-256 of each file, and no other
file is read. The columns are in `bench.schema`.
"""

import hashlib
import json
import math
import os
from collections.abc import Collection, Mapping, Sequence
from contextlib import ExitStack
from functools import cache
from numbers import Integral, Real
from pathlib import Path
from typing import Any

import pyarrow as pa

from bench.files import written
from bench.foreign import content, parsed
from bench.tables.parquet import opened, parquet
from bench.tables.schema import BOOL, FLOAT, INT, LATER, SCHEMA, TABLES, TEXT, Column, arrow_schema

MARKER = "complete.json"


class SchemaError(ValueError):
    """A table or a run directory is not what the schema says; the message is one sentence."""


def write(directory: str | Path, tables: dict[str, list[dict[str, Any]]]) -> None:
    """Check the rows and write them as a complete run directory; `tables` must hold the one row of `runs`.

    Everything is checked before anything is written. Raises SchemaError naming the table, the row and the column.
    """
    if unknown := sorted(tables.keys() - TABLES.keys()):
        raise SchemaError(f"There is no table {unknown[0]!r}; the tables are {', '.join(TABLES)}.")
    if len(tables.get("runs", [])) != 1:
        raise SchemaError(f"Table runs needs exactly one row; got {len(tables.get('runs', []))}.")
    arrays = {name: _table(name, rows) for name, rows in tables.items()}
    run = arrays["runs"].to_pylist()[0]
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    contents = {f"{name}.parquet": parquet(array) for name, array in arrays.items()}
    digests = {name: hashlib.sha256(contents[f"{name}.parquet"]).hexdigest() for name in arrays}
    marker = {"run": run["run"], "status": run["status"], "schema": SCHEMA, "tables": digests}
    with ExitStack() as stack:  # all is on the disk before the first old file goes
        beside = {n: stack.enter_context(written(directory / n, stored)) for n, stored in contents.items()}
        beside[MARKER] = stack.enter_context(written(directory / MARKER, json.dumps(marker).encode()))
        (directory / MARKER).unlink(missing_ok=True)  # from here until the new marker the directory is incomplete
        for name in TABLES.keys() - arrays.keys():
            (directory / f"{name}.parquet").unlink(missing_ok=True)
        for name, temporary in beside.items():
            os.replace(temporary, directory / name)


def read(directory: str | Path, columns: Mapping[str, Sequence[str] | None] | None = None) -> dict[str, pa.Table]:
    """The tables of a complete run directory; with `columns`, these tables where they are there, each with its columns.

    A file is checked as a whole, and takes a third of the time with few of its columns. Raises SchemaError where the
    directory is not complete, of another schema version, or a file is damaged.
    """
    directory = Path(directory)
    wanted: Mapping[str, Sequence[str] | None] = dict.fromkeys(TABLES) if columns is None else columns
    return {
        name: _read(directory / f"{name}.parquet", name, digest, wanted[name])
        for name, digest in _digests(directory).items()
        if name in wanted
    }


def read_one(directory: Path, name: str, columns: Sequence[str] | None = None) -> pa.Table:
    """One table of a complete run directory, or some of its columns; raises as `read`, and where there is none."""
    found = read(directory, {name: columns})
    if name not in found:
        raise SchemaError(f"{directory} has no table {name}.")
    return found[name]


def version(directory: Path) -> tuple[int, int] | None:
    """Changes whenever the run directory is written anew; None where it is not complete."""
    try:
        status = (directory / MARKER).stat()
    except FileNotFoundError:
        return None
    return status.st_ino, status.st_mtime_ns


def _digests(directory: Path) -> dict[str, str]:
    """The tables of a complete run directory, each with the SHA-256 of its file."""
    if not (directory / MARKER).is_file():
        raise SchemaError(f"{directory} is not a complete run: it has no {MARKER}.")
    try:
        marker = parsed(content(directory / MARKER))
        version, digests = marker["schema"], marker["tables"]
        there = {name for name in TABLES if (directory / f"{name}.parquet").exists()}
        damaged = version == SCHEMA and not ({"runs"} | there <= digests.keys() <= TABLES.keys())
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        damaged = True
    if damaged:
        raise SchemaError(f"{directory / MARKER} is damaged: delete the directory and run it again.")
    if version != SCHEMA:
        raise SchemaError(
            f"{directory} has tables of schema {version}, and this version reads schema {SCHEMA}: "
            "run it again, or read it with the version that wrote it."
        )
    return digests


def _table(name: str, rows: list[dict[str, Any]]) -> pa.Table:
    columns = TABLES[name]
    for i, row in enumerate(rows):
        if unknown := sorted(row.keys() - columns.keys()):
            raise SchemaError(f"Table {name}, row {i}: there is no column {unknown[0]!r}.")
    checked = [
        {c: _value(row.get(c), spec, f"Table {name}, row {i}, column {c}") for c, spec in columns.items()}
        for i, row in enumerate(rows)
    ]
    return pa.Table.from_pylist(checked, arrow_schema(name))


def _value(value: Any, column: Column, where: str) -> Any:
    if hasattr(value, "item") and not getattr(value, "ndim", 0):
        value = value.item()  # a NumPy or torch scalar
    if isinstance(value, float) and math.isnan(value) and column.type == FLOAT:
        value = None
    if value is None:
        if column.required:
            raise SchemaError(f"{where}: it is required and missing.")
        return None
    wanted: Any = {TEXT: str, INT: Integral, FLOAT: Real, BOOL: bool}[column.type]
    if not isinstance(value, wanted) or (isinstance(value, bool) and column.type != BOOL):
        raise SchemaError(f"{where}: it must be {column.type}; got {value!r}.")
    if column.choices and value not in column.choices:
        raise SchemaError(f"{where}: it must be one of {', '.join(column.choices)}; got {value!r}.")
    try:
        if column.type == INT:
            int(value).to_bytes(8, signed=True)
        elif column.type == FLOAT:
            value = float(value)
        elif column.type == TEXT:
            value.encode()
    except (OverflowError, UnicodeEncodeError):
        raise SchemaError(f"{where}: {column.type} cannot hold {value!r}.") from None
    return value


def _read(path: Path, name: str, digest: str, columns: Sequence[str] | None) -> pa.Table:
    try:
        stored = content(path)
        if hashlib.sha256(stored).hexdigest() != digest:
            raise OSError
        file = opened(stored)
        if columns is not None and not file.schema_arrow.equals(arrow_schema(name), check_metadata=False):
            completed(file.schema_arrow.empty_table(), name, path, LATER.get(name, ()))  # the others are checked too
        table = file.read(None if columns is None else [*columns], use_threads=False)
    except (OSError, pa.ArrowException):
        problem = "is missing, truncated or not as it was written: delete the directory and run it again."
        raise SchemaError(f"{path} {problem}") from None
    return completed(table, name, path, LATER.get(name, ()), columns)


def completed(
    table: pa.Table, name: str, path: Path, later: Collection[str], columns: Sequence[str] | None = None
) -> pa.Table:
    """A table of this schema, or some of its columns. It may lack those of `later`, which are null then.

    Raises SchemaError where another is missing, or of another type.
    """
    wanted = _wanted(name, None if columns is None else tuple(columns))
    if table.schema.equals(wanted):
        return table
    there = {*table.column_names}
    for field in arrow_schema(name):
        if field.name in later and field.name not in there:
            table = table.append_column(field, pa.nulls(len(table), field.type))
    try:
        return table.select(wanted.names).cast(wanted)
    except (KeyError, pa.ArrowException, ValueError):
        raise SchemaError(f"{path} does not have the columns of table {name} of schema {SCHEMA}.") from None


@cache
def _wanted(name: str, columns: tuple[str, ...] | None) -> pa.Schema:
    whole = arrow_schema(name)
    return whole if columns is None else pa.schema([whole.field(column) for column in columns])
