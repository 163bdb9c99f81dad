"""Tables are checked against the schema, and a run directory is complete or it is not."""

import hashlib
import json
import os

import numpy as np
import pyarrow.parquet as pq
import pytest

from bench.tables import columns, meanings, store
from bench.tables.parquet import parquet
from bench.tables.schema import SCHEMA, TABLES
from bench.tables.store import MARKER, SchemaError, read, write
from tests.support.table_rows import ROW, made


def test_what_is_written_is_read(tmp_path):
    write(tmp_path, made())
    for name, rows in made().items():
        expected = [dict.fromkeys(TABLES[name]) | row for row in rows]
        assert read(tmp_path)[name].to_pylist() == expected
    assert json.loads((tmp_path / MARKER).read_text())["status"] == "done"
    assert not list(tmp_path.glob(".*"))  # no temporary file is left


@pytest.mark.parametrize(
    ("table", "change", "words"),
    [
        ("gradient", {"varianze": 1.0}, ["gradient", "'varianze'"]),
        ("gradient", {"part": None}, ["gradient", "part", "required"]),
        ("gradient", {"variance_noise": "large"}, ["variance_noise", "double", "'large'"]),
        ("gradient", {"step": 1.5}, ["step", "int64", "1.5"]),
        ("gradient", {"step": True}, ["step", "int64", "True"]),
        ("objective", {"elbo": True}, ["elbo", "double", "True"]),
        ("objective", {"step": float("nan")}, ["step", "int64", "nan"]),
        ("cost", {"valid": 1}, ["valid", "bool", "1"]),
        ("cost", {"what": "epoch"}, ["what", "step, gradient", "'epoch'"]),
        ("runs", {"status": "fine"}, ["status", "skipped", "'fine'"]),
    ],
)
def test_a_bad_row_is_refused_by_name_before_anything_is_written(tmp_path, table, change, words):
    bad = made()
    bad[table][-1] |= change
    with pytest.raises(SchemaError) as error:
        write(tmp_path / "run", bad)
    assert all(word in str(error.value) for word in words)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("bad", "words"), [({"run": []}, "no table 'run'"), ({}, "exactly one row; got 0"), ({"runs": [ROW, ROW]}, "got 2")]
)
def test_the_set_of_tables_is_checked(tmp_path, bad, words):
    with pytest.raises(SchemaError, match=words):
        write(tmp_path, bad)


def test_nan_becomes_null_and_numpy_scalars_are_numbers(tmp_path):
    rows = made()
    rows["gradient"][0] |= {
        "variance": np.float32(0.5),
        "snr": float("nan"),
        "mse": np.float64("nan"),
        "draws": np.int32(7),
    }
    rows["gradient"][0] |= {"norm_sq": float("inf")}
    write(tmp_path, rows)
    row = read(tmp_path)["gradient"].to_pylist()[0]
    assert (row["variance"], row["snr"], row["mse"], row["draws"], row["norm_sq"]) == (0.5, None, None, 7, float("inf"))


@pytest.mark.parametrize("survives", range(5))  # five files: four tables and the marker
def test_a_writer_killed_midway_leaves_nothing_that_counts(tmp_path, monkeypatch, survives):
    real, calls = os.replace, []

    def dying(source, target):
        if len(calls) == survives:
            raise KeyboardInterrupt
        calls.append(target)
        real(source, target)

    monkeypatch.setattr(os, "replace", dying)
    with pytest.raises(KeyboardInterrupt):
        write(tmp_path, made())
    with pytest.raises(SchemaError, match=f"not a complete run: it has no {MARKER}"):
        read(tmp_path)
    for file in tmp_path.iterdir():  # what lies there is whole
        assert pq.ParquetFile(file).read().num_rows > 0
    assert len(list(tmp_path.iterdir())) == survives


def test_a_rewrite_killed_midway_does_not_pass_for_the_old_run(tmp_path, monkeypatch):
    write(tmp_path, made(status="failed"))

    def dying(source, target):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", dying)
    with pytest.raises(KeyboardInterrupt):
        write(tmp_path, made())
    with pytest.raises(SchemaError, match="not a complete run"):
        read(tmp_path)


def test_a_rewrite_leaves_no_table_of_the_old_run(tmp_path):
    write(tmp_path, made())
    write(tmp_path, {"runs": [ROW | {"status": "failed"}]})
    assert set(read(tmp_path)) == {"runs"}
    assert sorted(f.name for f in tmp_path.iterdir()) == [MARKER, "runs.parquet"]


def test_another_schema_version_is_refused_in_a_sentence(tmp_path):
    write(tmp_path, made())
    marker = json.loads((tmp_path / MARKER).read_text())
    (tmp_path / MARKER).write_text(json.dumps(marker | {"schema": SCHEMA + 1}))
    with pytest.raises(SchemaError, match=rf"of schema {SCHEMA + 1}, and this version reads schema {SCHEMA}: [^.]*\.$"):
        read(tmp_path)


@pytest.mark.parametrize("damage", [lambda b: b[: len(b) // 2], lambda b: b"", lambda b: b"not parquet", None])
def test_a_damaged_file_is_refused_in_a_sentence(tmp_path, damage):
    write(tmp_path, made())
    file = tmp_path / "gradient.parquet"
    content = file.read_bytes()
    file.unlink()
    if damage:
        file.write_bytes(damage(content))
    with pytest.raises(SchemaError, match=r"gradient.parquet is missing, truncated or not as it was written: [^.]*\.$"):
        read(tmp_path)


def test_a_flipped_byte_is_noticed(tmp_path):
    write(tmp_path, made())
    file = tmp_path / "gradient.parquet"
    content = bytearray(file.read_bytes())
    content[200] ^= 0xFF
    file.write_bytes(content)
    with pytest.raises(SchemaError, match=r"gradient\.parquet"):
        read(tmp_path)


@pytest.mark.parametrize("text", ["", "[]", "{}", "{", f'{{"schema": {SCHEMA}}}'])
def test_a_damaged_marker_is_refused_in_a_sentence(tmp_path, text):
    write(tmp_path, made())
    (tmp_path / MARKER).write_text(text)
    with pytest.raises(SchemaError, match=r"complete\.json is damaged"):
        read(tmp_path)


def test_a_table_with_other_columns_is_refused(tmp_path):
    write(tmp_path, made())
    other = parquet(read(tmp_path)["cost"].drop_columns(["valid"]))
    (tmp_path / "cost.parquet").write_bytes(other)
    marker = json.loads((tmp_path / MARKER).read_text())
    marker["tables"]["cost"] = hashlib.sha256(other).hexdigest()
    (tmp_path / MARKER).write_text(json.dumps(marker))
    with pytest.raises(SchemaError, match="does not have the columns"):
        read(tmp_path)


def test_every_moment_has_a_standard_error():
    names = set(TABLES["gradient"])
    assert {f"{name}_se" for name in meanings.MOMENTS} <= names
    assert len(meanings.MOMENTS) == 10


def test_docs_are_not_stale(pytestconfig):
    assert (pytestconfig.rootpath / "docs" / "columns.md").read_text() == columns.document()


def test_descriptions_are_one_line():
    from bench.tables.columns import COMPARISON

    for table in [*TABLES.values(), COMPARISON]:
        assert all(column.description and "\n" not in column.description for column in table.values())


def test_marker_names_no_file_outside_the_directory(tmp_path):
    write(tmp_path / "a", made())
    marker = json.loads((tmp_path / "a" / MARKER).read_text())
    marker["tables"]["../b/runs"] = marker["tables"]["runs"]
    (tmp_path / "a" / MARKER).write_text(json.dumps(marker))
    with pytest.raises(SchemaError, match="damaged"):
        store.read(tmp_path / "a")
