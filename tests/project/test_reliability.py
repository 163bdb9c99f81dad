"""Sweeps in processes of their own: killed at random moments and at every one, and several at once in one folder."""

import csv
import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from bench.report.collection.collect import collect, find
from bench.run.images import IMAGES_FILE
from bench.tables import store
from tests.support.packages import ROOT


def python(*words: str | Path) -> str:
    """What the program prints; it must end well."""
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-m", *words], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_a_sweep_killed_at_random_moments_ends_with_the_same_tables(tmp_path):
    outcome = json.loads(python("tests.support.kills", "10", "--forked", "--out", tmp_path / "kills.csv"))
    assert outcome.pop("with_checkpoint") > 0
    assert outcome == {"kills": 10, "different": 0, "orphans": 0}
    with (tmp_path / "kills.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["kill"] for row in rows] == [str(n) for n in range(1, 11)]
    assert {(row["identical"], row["files_left"]) for row in rows} == {("True", "0")}


@pytest.mark.slow
def test_a_sweep_killed_before_any_change_of_a_file_ends_with_the_same_tables(tmp_path):
    python("tests.support.kill_points", "--out", tmp_path / "moments.csv")
    with (tmp_path / "moments.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {(row["status"], row["identical"], row["left"]) for row in rows} == {("0", "True", "")}
    changes = {row["before"] for row in rows}
    for file in (".sweep_", ".running.json", ".resume.pt", ".runs.parquet", ".complete.json"):
        assert any(change.startswith(f"os.rename {file}") or change.startswith(f"os.link {file}") for change in changes)
    assert {"os.remove resume.pt", "os.remove running.json"} <= changes


@pytest.mark.slow
def test_eight_processes_in_one_folder_lose_nothing_and_do_nothing_twice(tmp_path):
    ended = Counter()
    for line in python("tests.support.together", tmp_path).splitlines():
        ended.update(json.loads(line))
    assert ended.keys() <= {"done", "already done", "already running"}
    assert (ended["done"], ended.total()) == (200, 400)
    assert {file.name for file in tmp_path.rglob("*") if file.is_file()} == {
        store.MARKER, "runs.parquet", "objective.parquet", "gradient.parquet", "cost.parquet", IMAGES_FILE,
    }  # fmt: skip
    collection, problems = collect(find([tmp_path]))
    assert problems == []
    rows = collection.tables["runs"].to_pylist()
    assert sorted(row["seed"] for row in rows) == list(range(200))
    assert len({row["run"] for row in rows}) == 200
    assert collection.tables["objective"].num_rows == 600  # three splits
