"""Tables that a report has written, read back as if their run directories were still there.

`digests.json` beside them has the SHA-256 of each, and a table that differs is refused; reports of before have none.
"""

import hashlib
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from bench.files import replace
from bench.foreign import content, parsed
from bench.tables.schema import SCHEMA, TABLES, arrow_schema
from bench.tables.store import SchemaError, from_parquet, parquet

DIGESTS = "digests.json"
KEPT = "comparison.parquet"  # what only a report has


def write_parquet(tables: dict[str, pa.Table], directory: Path) -> None:
    """Write each table as Parquet, then their digests."""
    contents = {f"{name}.parquet": parquet(table) for name, table in tables.items()}
    for name, stored in contents.items():
        replace(directory / name, stored)
    digests = {name: hashlib.sha256(stored).hexdigest() for name, stored in contents.items()}
    replace(directory / DIGESTS, json.dumps(digests, indent=1).encode())


def saved(directory: Path) -> Path | None:
    """The folder of a report: this one, or `report` in it; None where neither is one. No run directory is."""
    return next((place for place in (directory, directory / "report") if (place / KEPT).is_file()), None)


def read_saved(directory: Path) -> list[dict[str, pa.Table]]:
    """The tables of each run of a report. Those of an older schema are read too: what they lack is null, and what the
    schemas share has the same meaning.

    Raises SchemaError where a table is missing or damaged, of a later schema, or without a column that it needs.
    """
    try:
        digests = dict(parsed(content(directory / DIGESTS)))
    except FileNotFoundError:
        digests = {f"{name}.parquet": None for name in TABLES}
    except (OSError, ValueError, TypeError):
        digests = {}
    whole = {name: _read(directory / f"{name}.parquet", name, digests.get(f"{name}.parquet", "")) for name in TABLES}
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


def _read(path: Path, name: str, digest: str | None) -> pa.Table:
    try:
        stored = content(path)
        if digest not in (None, hashlib.sha256(stored).hexdigest()):
            raise OSError
        table = from_parquet(stored)
    except (OSError, pa.ArrowException):
        problem = "is missing, truncated or not as it was written: write the report again."
        raise SchemaError(f"{path} {problem}") from None
    wanted = arrow_schema(name)
    for field in wanted:
        if field.name not in table.column_names:
            if not field.nullable:
                raise SchemaError(f"{path} has no column {field.name}, which table {name} needs.")
            table = table.append_column(field, pa.nulls(len(table), field.type))
    try:
        return table.select(wanted.names).cast(wanted)
    except (pa.ArrowException, ValueError):
        raise SchemaError(f"{path} does not have the columns of table {name}.") from None
