"""The table of kinds counts the tables of kills and damages that there are, and nothing in them ended wrong."""

import csv

from tests.support.kinds import TABLES, counted, kinds
from tests.support.packages import ROOT
from tests.support.tested import TESTS, there


def test_the_table_is_of_the_tables_and_nothing_is_wrong():
    with (TABLES / "kinds.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows == [{name: str(value) for name, value in row.items()} for row in kinds()]
    assert all(row["wrong"] == "0" and int(row["cases"]) > 0 for row in rows)


def test_every_kind_was_tested_and_its_tests_are_there():
    found = there(TABLES / "tested.csv")
    assert {kind: (row["tests"], row["words"]) for kind, row in found.items()} == TESTS
    assert all((ROOT / file).is_file() for files, _ in TESTS.values() for file in files.split())


def test_the_page_has_the_table():
    page = (TABLES / "README.md").read_text().replace("`", "")
    for row in kinds():
        assert f"| {row['kind']} | {row['cases']:,} | {row['wrong']} |\n" in page


def test_a_row_that_is_wrong_is_counted(tmp_path):
    file = tmp_path / "kills_planted.csv"
    file.write_text("kill,identical,orphans,files_left\n1,True,0,0\n2,False,0,0\n3,True,1,0\n")
    assert counted(file) == (3, 2)
    file = tmp_path / "damages.csv"
    file.write_text("tries,other,errors\n5,0,0\n7,1,2\n")
    assert counted(file) == (12, 3)
