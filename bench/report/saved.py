"""Tables that a report has written, read back as if their run directories were still there."""

from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from bench.schema import SCHEMA, TABLES, arrow_schema
from bench.tables import MARKER, SchemaError


def saved(directory: Path) -> Path | None:
    """The folder of a report: this one, or `report` in it; None where neither holds tables."""
    places = (directory, directory / "report")
    return next((p for p in places if (p / "runs.parquet").is_file() and not (p / MARKER).is_file()), None)


def read_saved(directory: Path) -> list[dict[str, pa.Table]]:
    """The tables of each run of a report. Those of an older schema are read too: what they lack is null, and what the
    schemas share has the same meaning.

    Raises SchemaError where a table is missing or damaged, of a later schema, or without a column that it needs.
    """
    whole = {name: _read(directory / f"{name}.parquet", name) for name in TABLES}
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


def _read(path: Path, name: str) -> pa.Table:
    try:
        table = pq.read_table(path)
    except (OSError, pa.ArrowException):
        raise SchemaError(f"{path} is missing, truncated or not Parquet: write the report again.") from None
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
