"""`python -m tests.support.kinds --out FILE.csv`: what was survived, by kind, counted from tables."""

import argparse
import csv
import sys
from pathlib import Path

from tests.support.kills import write_csv
from tests.support.packages import ROOT
from tests.support.tested import TESTS, there

TABLES = ROOT / "results" / "reliability"
KINDS = {  # what happens -> the tables of its cases
    "kills of a sweep at random moments": ("kills_basic", "kills_pool"),
    "kills of a sweep before a change of a file": ("kill_points_sweep", "kill_points_replicas"),
    "kills of bench.probe before a change of a file": ("kill_points_probe",),
    "kills of bench.report before a change of a file": ("report_kills",),
    "damages of a bit or a byte": ("damages",),
}
RIGHT = {  # how a table begins -> what a row says where nothing is wrong
    "report_kills": {"readable": "True", "status": "0", "identical": "True", "left": ""},
    "kills": {"identical": "True", "orphans": "0", "files_left": "0"},
    "kill_points": {"status": "0", "identical": "True", "left": ""},
}


def counted(file: Path) -> tuple[int, int]:
    """Cases of a table, and how many of them are wrong."""
    with file.open(newline="") as opened:
        rows = list(csv.DictReader(opened))
    if file.stem == "damages":
        return sum(int(row["tries"]) for row in rows), sum(int(row["other"]) + int(row["errors"]) for row in rows)
    right = next(right for name, right in RIGHT.items() if file.stem.startswith(name))
    return len(rows), sum(not right.items() <= row.items() for row in rows)


def kinds() -> list[dict[str, str | int]]:
    """The rows of the table."""
    rows: list[dict[str, str | int]] = []
    for what, tables in KINDS.items():
        found = [counted(TABLES / f"{table}.csv") for table in tables]
        cases, wrong = (sum(column) for column in zip(*found, strict=True))
        rows.append({"kind": what, "tables": " ".join(tables), "cases": cases, "wrong": wrong})
    tested = there(TABLES / "tested.csv")
    rows += [
        {"kind": kind, "tables": "tested", "cases": int(tested[kind]["cases"]), "wrong": int(tested[kind]["wrong"])}
        for kind in TESTS
    ]
    return rows


def arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """The parsed command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.support.kinds", description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    return parser.parse_args(argv)


def main() -> int:
    """Exit status: 0, or 1 where a case ended wrong."""
    rows = kinds()
    write_csv(rows, arguments().out)
    return int(any(row["wrong"] for row in rows))


if __name__ == "__main__":
    sys.exit(main())
