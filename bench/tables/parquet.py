"""Tables as the bytes of Parquet files."""

from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

FEW = 50  # rows


def parquet(table: pa.Table) -> bytes:
    """The table as the bytes of a Parquet file. The many columns of a few rows take no less space compressed or by
    dictionaries, and twice the time to read; larger tables are zstd."""
    large = table.num_rows > FEW
    how: dict[str, Any] = {"compression": "zstd" if large else "none", "use_dictionary": large}
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, **how, write_statistics=large, write_page_checksum=True)
    return sink.getvalue().to_pybytes()


def from_parquet(stored: bytes) -> pa.Table:
    """The table in the bytes of a Parquet file, read without a thread: threads of pyarrow's that outlive the
    interpreter abort the process at its end. Raises pa.ArrowException where it is none."""
    return opened(stored).read(use_threads=False)


def opened(stored: bytes) -> pq.ParquetFile:
    """The file of these bytes, of which nothing is read but the schema. Raises as `from_parquet`."""
    return pq.ParquetFile(pa.BufferReader(stored), pre_buffer=False, page_checksum_verification=True)
