"""The bytes of a table."""

import pyarrow as pa
import pytest

from bench.tables.parquet import FEW, from_parquet, opened, parquet
from bench.tables.schema import TABLES, arrow_schema


@pytest.mark.parametrize(
    ("rows", "compression"), [(0, None), (1, "UNCOMPRESSED"), (FEW, "UNCOMPRESSED"), (FEW + 1, "ZSTD")]
)
def test_a_table_is_read_as_it_was_written_and_compressed_where_that_pays(rows, compression):
    key = {"run": "0123", "seed": 0, "estimator": "rloo", "trained_with": "own", "part": "encoder"}
    table = pa.Table.from_pylist([key | {"step": i, "mse": i / 7} for i in range(rows)], arrow_schema("gradient"))
    stored = parquet(table)
    assert from_parquet(stored).equals(table)
    used = {
        opened(stored).metadata.row_group(0).column(i).compression
        for i in range(len(TABLES["gradient"]) if rows else 0)
    }
    assert used == ({compression} if rows else set())
