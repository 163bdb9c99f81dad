"""What stands in `results` could be made by anybody: no table holds a folder of the machine that made it."""

import re

import pandas as pd
import pytest

from tests.support.packages import ROOT

RESULTS = ROOT / "results"
TABLES = sorted(path.relative_to(RESULTS).as_posix() for path in RESULTS.rglob("*.parquet"))
FOLDER = re.compile(r"(?:^|[\s\"'=:])(?:/[^\s/\"']+/|~/|[A-Z]:\\)")  # the first two names of an absolute path


def folders(table: pd.DataFrame) -> list[str]:
    """Texts of the table with an absolute path."""
    texts = table.select_dtypes(["object", "string"]).fillna("").astype(str).to_numpy().ravel()
    return sorted({text for text in texts if FOLDER.search(text)})


def test_absolute_paths_are_found():
    table = pd.DataFrame(
        {
            "command": ["python -m bench data.root=data", "bench output=/home/me/x"],
            "config": ["{}", '{"root": "/mnt/d/e"}'],
        }
    )
    assert folders(table) == ["bench output=/home/me/x", '{"root": "/mnt/d/e"}']


@pytest.mark.parametrize("name", TABLES)
def test_no_table_holds_a_folder_of_its_machine(name):
    assert folders(pd.read_parquet(RESULTS / name)) == []
