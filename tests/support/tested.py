"""`python -m tests.support.tested --out FILE.csv`: what rough company does, by kind, counted from the tests of it."""

import argparse
import csv
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from tests.support.kills import write_csv
from tests.support.packages import ROOT

LINES, BAD = "tests/sweep/test_command_line.py", "tests/config/test_bad_input.py"
OPTIONS = "tests/config/test_new_options.py"
TESTS = {  # kind -> the tests, and words that their names have
    "ends of commands, by threads of theirs": ("tests/tables/test_threads.py", ""),
    "output folders that go during a sweep": ("tests/sweep/test_gone.py", ""),
    "markup, escapes and formulas in data": ("tests/report/test_data_are_data.py", "not figure and not noise"),
    "figures that cannot be drawn": ("tests/report/test_data_are_data.py", "figure or noise"),
    "readers that leave": (LINES, "reader or stream or pipe"),
    "costs and lists of one's own": ("tests/measure/test_own_cost.py", "promised or list or learns"),
    "tables in LaTeX": ("tests/report/test_frames.py", "latex"),
    "estimators that are not finished": (f"tests/check/test_unfinished.py {OPTIONS}", "unfinished or broken"),
    "numbers beyond any machine": ("tests/run/test_memory.py", ""),
    "run directories and plans from elsewhere": ("tests/report/test_odd_runs.py tests/sweep/test_odd_plans.py", ""),
    "claims of runs by processes that are gone": ("tests/run/test_attempt.py", ""),
    "checkpoints that are not as they were written": (
        "tests/run/test_checkpoint.py",
        "truncated or changed_bit or foreign",
    ),
    "secrets and code in a configuration": (
        f"tests/sweep/test_environment.py tests/config/test_plugins.py {BAD}",
        "secret or place_may or ever_called or sentence and (oc.env or _target_ or callbacks or shell or code.pt)",
    ),
    "jobs as Hydra composes them": ("tests/sweep/test_composing.py tests/sweep/test_composing_commands.py", ""),
    "flags, changed folders, Python without docstrings": (
        f"{LINES} {BAD}",
        "anywhere or home_folder or docstrings or chdir",
    ),
    "odd names and places for output": (
        f"{LINES} {BAD}",
        "(link or no_text or name or output) and not unnamed and not nope",
    ),
    "states of a sweep, and what is left of it": ("tests/sweep/test_status.py tests/sweep/test_clean.py", ""),
}


def counted(files: str, words: str) -> tuple[int, int]:
    """How many of the tests in these files, with these words in their names, there are, and how many end wrong."""
    with tempfile.TemporaryDirectory() as folder:
        told = Path(folder) / "told.xml"
        command = [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            f"--junitxml={told}",
            *files.split(),
            *(["-k", words] if words else []),
        ]
        subprocess.run(command, cwd=ROOT, stdout=sys.stderr, check=False)
        cases = [case for case in ElementTree.parse(told).iter("testcase") if case.find("skipped") is None]
    return len(cases), sum(case.find("failure") is not None or case.find("error") is not None for case in cases)


def there(file: Path) -> dict[str, dict[str, Any]]:
    """The rows of the file by their kind; none where there is no file."""
    if not file.is_file():
        return {}
    with file.open(newline="") as opened:
        return {row["kind"]: row for row in csv.DictReader(opened)}


def arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """The parsed command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.support.tested", description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument(
        "--only", default="", metavar="WORD", help="the kinds with this word; the file keeps the others"
    )
    return parser.parse_args(argv)


def main() -> int:
    """Exit status: 0, or 1 where a case ended wrong."""
    options = arguments()
    found = there(options.out)
    for kind, (files, words) in TESTS.items():
        if options.only in kind:
            cases, wrong = counted(files, words)
            found[kind] = {"kind": kind, "tests": files, "words": words, "cases": cases, "wrong": wrong}
            write_csv([found[kind] for kind in TESTS if kind in found], options.out)
    return int(any(int(row["wrong"]) or not int(row["cases"]) for row in found.values()))


if __name__ == "__main__":
    sys.exit(main())
