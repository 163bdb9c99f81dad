"""The table `tuning` as a file: `tuning_<hash>.parquet` beside the runs of a tuning, one for each command."""

import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from bench.files import replace
from bench.foreign import content
from bench.tables.columns import TUNING
from bench.tables.parquet import from_parquet, parquet
from bench.tables.store import SchemaError

PATTERN = "tuning_*.parquet"
IN_REPORT = "tuning.parquet"
SCHEMA = pa.schema([pa.field(name, column.type, not column.required) for name, column in TUNING.items()])


def table(rows: Iterable[Mapping[str, Any]]) -> pa.Table:
    """The rows with all columns, in their types; NaN is null."""
    return pa.Table.from_pylist([{name: _null(row.get(name)) for name in TUNING} for row in rows], SCHEMA)


def write(file: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write the table, whole or not at all."""
    file.parent.mkdir(parents=True, exist_ok=True)
    replace(file, parquet(table(rows)))


def read(file: Path) -> list[dict[str, Any]]:
    """The rows of such a file. Raises SchemaError where it is damaged, or another table."""
    try:
        return list(from_parquet(content(file)).select(SCHEMA.names).cast(SCHEMA).to_pylist())
    except (OSError, KeyError, ValueError, pa.ArrowException):
        raise SchemaError(f"{file} is damaged, or no table of a tuning: the same command writes it again.") from None


def _null(value: Any) -> Any:
    return None if isinstance(value, float) and math.isnan(value) else value
