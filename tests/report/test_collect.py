"""What is collected for a report: each run once, bad directories passed over, configs as columns."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bench.report.collection.collect import collect, find, widened
from bench.report.collection.compare import comparison
from bench.report.command import main
from bench.tables.schema import SCHEMA
from bench.tables.store import MARKER, SchemaError
from tests.support.synthetic_runs import config, place, runs_row, tables


def test_copies_of_a_run_count_once(tmp_path):
    resolved = config("rloo", "bernoulli", 0)
    place(tmp_path, resolved, directory="a", changes={"status": "failed", "started": "2026-11-21T00:00:00Z"})
    place(tmp_path, resolved, directory="b")
    place(tmp_path, resolved, directory="c", changes={"started": "2026-11-19T00:00:00Z"})
    found, problems = collect(find([tmp_path, tmp_path / "a"]))
    assert found.tables["runs"].select(["status", "started"]).to_pylist() == [
        {"status": "done", "started": "2026-11-20T10:00:00Z"}
    ]
    assert found.tables["objective"].num_rows == len(tables(runs_row(resolved, "rloo"))["objective"])
    assert sum("another copy" in line for line in problems) == 2


def test_the_same_seed_under_one_label_counts_once(tmp_path):
    resolved = config("rloo", "bernoulli", 0)
    place(tmp_path, resolved)
    newer = place(tmp_path, resolved, directory="new", changes={"run": "ffff", "started": "2026-11-21T00:00:00Z"})
    found, problems = collect(find([tmp_path]))
    assert (found.units.run.tolist(), len(problems)) == (["ffff"], 1)
    assert comparison(found).seeds.tolist() == [1]
    assert newer != "ffff" or found.tables["runs"].num_rows == 2  # the tables keep both


def test_a_bad_directory_is_reported_and_passed_over(tmp_path, capsys):
    for seed in range(4):
        place(tmp_path, config("rloo", "bernoulli", seed), directory=str(seed))
    (tmp_path / "1" / "gradient.parquet").write_bytes(b"PAR1 half a file")
    marker = tmp_path / "2" / MARKER
    marker.write_text(marker.read_text().replace(f'"schema": {SCHEMA}', '"schema": 99'))
    (tmp_path / "3" / MARKER).unlink()
    assert main([str(tmp_path), "--only", "final_elbo"]) == 0
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    assert "gradient.parquet is missing, truncated or not as it was written" in lines[0]
    assert "schema 99" in lines[1]
    assert pq.read_table(tmp_path / "report" / "all_runs.parquet").num_rows == 1


def test_config_columns_are_numeric_where_all_values_are(tmp_path):
    values = [(1, 1, "a", None, True), (2, 0.5, 3, 4, False)]
    for seed, (whole, real, text, hole, flag) in enumerate(values):
        place(
            tmp_path,
            config(
                "rloo", "bernoulli", seed, x={"whole": whole, "real": real, "text": text, "hole": hole, "flag": flag}
            ),
        )
    table = widened(collect(find([tmp_path]))[0].tables["runs"]).sort_by("seed")
    types = {name: table.schema.field(f"config.x.{name}").type for name in ("whole", "real", "text", "hole", "flag")}
    assert types == {
        "whole": pa.int64(),
        "real": pa.float64(),
        "text": pa.string(),
        "hole": pa.int64(),
        "flag": pa.bool_(),
    }
    assert table["config.x.text"].to_pylist() == ["a", "3"]
    assert table["config.train.betas"].to_pylist() == ["[0.9, 0.999]"] * 2


def test_all_bad_is_an_error(tmp_path):
    place(tmp_path, config("rloo", "bernoulli", 0), directory="run")
    (tmp_path / "run" / "runs.parquet").unlink()
    with pytest.raises(SchemaError, match="None of the run directories"):
        collect(find([tmp_path]))
