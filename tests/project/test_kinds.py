"""The table of kinds is of the kinds that there are, and nothing in it ended wrong."""

import csv

from tests.support.kinds import KINDS, TABLES, Kind, counted, tried
from tests.support.packages import ROOT


def test_the_table_is_of_every_kind_and_nothing_is_wrong():
    with (TABLES / "kinds.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["kind"], row["shown_by"]) for row in rows] == [(k.what, " ".join(k.shown_by)) for k in KINDS]
    assert all(int(row["cases"]) > 0 and int(row["wrong"]) == 0 for row in rows)


def test_what_shows_a_kind_is_there_and_tables_have_as_many_cases_as_it_says():
    with (TABLES / "kinds.csv").open(newline="") as file:
        cases = {row["kind"]: int(row["cases"]) for row in csv.DictReader(file)}
    for kind in KINDS:
        tables = [source for source in kind.shown_by if not source.endswith(".py")]
        assert all((ROOT / source).is_file() for source in kind.shown_by if source not in tables)
        if tables:
            assert sum(counted(table)[0] for table in tables) == cases[kind.what]


def test_a_test_that_fails_is_a_case_that_ends_wrong(tmp_path):
    file = tmp_path / "test_planted.py"
    file.write_text("import pytest\n@pytest.mark.parametrize('n', [1, 2, 3])\ndef test_it(n):\n    assert n < 3\n")
    assert tried(Kind("planted", (str(file),))) == (3, 1)
