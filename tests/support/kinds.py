"""`python -m tests.support.kinds --out FILE.csv`: kinds of rough company, how many cases are tried, how many end wrong.

A kind is a set of tests, of which each set of parameters is a case, or a table of this folder, of which each row, or
each of the tries that a row counts, is one. Tests are run anew, tables are counted.
"""

import argparse
import csv
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.support.kills import write_csv
from tests.support.packages import ROOT

TABLES = ROOT / "results" / "reliability"


class Kind(NamedTuple):
    """What happens, and what shows it: test files or single tests, or the name of a table without its ending."""

    what: str
    shown_by: tuple[str, ...]


KINDS = (
    Kind("threads of the reader that outlive the interpreter", ("tests/tables/test_threads.py",)),
    Kind("a report over its own source, or killed", ("tests/report/test_folder.py",)),
    Kind("kills of bench.report", ("report_kills",)),
    Kind("kills of a sweep at random moments", ("kills_basic", "kills_pool")),
    Kind("kills before every change of a file", ("kill_points_sweep", "kill_points_replicas")),
    Kind("kills of bench.probe before every change of a file", ("kill_points_probe",)),
    Kind("damages of any file", ("damages",)),
    Kind("checkpoints that are not as they were written", ("tests/run/test_checkpoint.py",)),
    Kind("claims of processes that are gone", ("tests/run/test_attempt.py",)),
    Kind("output that goes away during a sweep", ("tests/sweep/test_gone.py",)),
    Kind("markup, escapes and formulas in data", ("tests/report/test_data_are_data.py",)),
    Kind("run directories from elsewhere", ("tests/report/test_odd_runs.py",)),
    Kind("plans from elsewhere", ("tests/sweep/test_odd_plans.py",)),
    Kind("sizes beyond memory and time", ("tests/run/test_memory.py",)),
    Kind("half-written files of estimators", ("tests/config/test_new_options.py",)),
    Kind("half-written classes of estimators", ("tests/check/test_unfinished.py",)),
    Kind("what is refused, word for word", ("tests/config/test_bad_input.py",)),
    Kind("flags, places and environments of the command", ("tests/sweep/test_command_line.py",)),
    Kind("costs of other shapes in bench.compare", ("tests/measure/test_own_cost.py",)),
    Kind("status and clean after failures", ("tests/sweep/test_status.py", "tests/sweep/test_clean.py")),
)

RIGHT = {  # how a table begins -> what a row says where nothing is wrong
    "report_kills": {"readable": "True", "status": "0", "identical": "True", "left": ""},
    "kills": {"identical": "True", "orphans": "0", "files_left": "0"},
    "kill_points": {"status": "0", "identical": "True", "left": ""},
}


class Outcomes:
    """A plugin of pytest: how every test ended, by its name."""

    def __init__(self) -> None:
        self.of: dict[str, bool] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Each has three parts; one that was skipped is no case."""
        if report.failed or (report.when == "call" and report.passed):
            self.of[report.nodeid] = self.of.get(report.nodeid, True) and report.passed


def counted(table: str) -> tuple[int, int]:
    """Cases of a table, and how many of them are wrong."""
    with (TABLES / f"{table}.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    if table == "damages":
        return sum(int(row["tries"]) for row in rows), sum(int(row["other"]) + int(row["errors"]) for row in rows)
    right = next(right for name, right in RIGHT.items() if table.startswith(name))
    return len(rows), sum(not right.items() <= row.items() for row in rows)


def tried(kind: Kind) -> tuple[int, int]:
    """Cases of a kind, and how many of them are wrong."""
    tests = [source for source in kind.shown_by if source.endswith(".py")]
    found = [counted(table) for table in kind.shown_by if table not in tests]
    if tests:
        outcomes = Outcomes()
        pytest.main(["-q", "--no-header", "-p", "no:cacheprovider", *tests], plugins=[outcomes])
        found.append((len(outcomes.of), sum(not right for right in outcomes.of.values())))
    return sum(cases for cases, _ in found), sum(wrong for _, wrong in found)


def arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """The parsed command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.support.kinds", description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    return parser.parse_args(argv)


def main() -> int:
    """Exit status: 0, or 1 where a case ends wrong."""
    options, rows = arguments(), []
    for kind in KINDS:
        cases, wrong = tried(kind)
        rows.append({"kind": kind.what, "shown_by": " ".join(kind.shown_by), "cases": cases, "wrong": wrong})
        write_csv(rows, options.out)
    return int(any(row["wrong"] for row in rows))


if __name__ == "__main__":
    sys.exit(main())
