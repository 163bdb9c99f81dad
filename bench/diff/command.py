"""`python -m bench.diff A B`: which numbers of two folders, of runs or of reports, moved, by how many standard errors.

Runs are paired by configuration and seed, wherever and on whatever they were computed: two versions of the code, two
devices. What is tested, and how, is in docs/notebook.md.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.report.collection.collect import Collection, collect, find
from bench.tables.sentence import in_one_sentence
from bench.tables.store import SchemaError
from bench.terminal import Parser, cell, plain, to_its_end

if TYPE_CHECKING:
    import pandas as pd

TABLES = ("gradient", "objective", "cost", "choices")
MOST = 40  # numbers that are shown, and runs that are named


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """The parsed command line."""
    parser = Parser(prog="python -m bench.diff", description=(__doc__ or "").partition(": ")[2].partition("\n")[0])
    parser.add_argument("a", type=Path, metavar="A", help="searched for runs, recursively, or the folder of a report")
    parser.add_argument("b", type=Path, metavar="B", help="the same, of the other version or device")
    parser.add_argument("--only", choices=TABLES, help="the numbers of one table (default: all)")
    parser.add_argument("--csv", type=Path, metavar="FILE", help="every number, with its difference")
    return parser.parse_args(argv)


@to_its_end
def main(argv: Sequence[str] | None = None) -> int:
    """Exit status: 0 where nothing moved beyond its noise, 1 where something did or a run ended otherwise, 2 where
    there is nothing to compare."""
    options = arguments(argv)
    return in_one_sentence("bench.diff", lambda: diff(options))


def diff(options: argparse.Namespace) -> int:
    """Read both, compare, print and write."""
    from bench.diff.moved import compared, keyed

    a, b = (_collected(folder) for folder in (options.a, options.b))
    sides = keyed(a), keyed(b)
    both = sides[0].keys() & sides[1].keys()
    if not both:
        raise SchemaError(f"No run of {options.a} has its configuration and seed in {options.b}.")
    numbers, left_out = compared(a, b, [options.only] if options.only else TABLES)
    differ = numbers[numbers.a != numbers.b]
    moved = int(differ.moved.sum())
    if len(differ):
        _show(differ)
    same = len(numbers) - len(differ)
    print(
        f"{len(both)} runs are in both. Of {len(numbers)} numbers {same} are the same bit for bit, "
        f"{len(differ)} differ, {moved} beyond their noise (95 % for all together)."
    )
    if left_out:
        print(f"{left_out} times are not compared: another machine, or disturbed.")
    for name, mine, theirs in (("A", *sides), ("B", *reversed(sides))):
        _tell(f"only in {name}", [_words(mine[key]) for key in mine if key not in theirs])
    ended = [key for key in sides[0] if key in both and sides[0][key]["status"] != sides[1][key]["status"]]
    ways = [f"{_words(sides[0][key])}: {' and '.join(side[key]['status'] for side in sides)}" for key in ended]
    _tell("ended otherwise", ways)
    if options.csv:
        _write(numbers, options.csv)
    return int(moved > 0 or bool(ended))


def _collected(folder: Path) -> Collection:
    found = find([folder])
    if not found:
        raise SchemaError(f"No complete run lies under {folder}; `python -m bench` makes one.")
    collection, problems = collect(found)
    for line in problems:
        print(plain(line), file=sys.stderr)
    return collection


def _words(row: Mapping[Any, Any]) -> str:
    return f"{row['label']} on {row['family']}, seed {row['seed']}"


def _tell(what: str, runs: list[str]) -> None:
    if runs:
        more = f"; and {len(runs) - MOST} more" if len(runs) > MOST else ""
        print(plain(f"{len(runs)} {what}: {'; '.join(runs[:MOST])}{more}"))


def _show(differ: "pd.DataFrame") -> None:
    """The numbers that differ, those first that moved by the most standard errors."""
    from rich.console import Console
    from rich.table import Column, Table

    size = differ.errors.abs().fillna(0.0)
    ordered = differ.assign(size=size, far=differ.relative.abs()).sort_values(
        ["moved", "size", "far"], ascending=False, kind="stable"
    )
    left = (Column(name, overflow="fold") for name in ("run", "where", "number"))
    right = (Column(name, justify="right", no_wrap=True) for name in ("A", "B", "errors", "relative", "p"))
    table = Table(*left, *right, Column("moved"), box=None, padding=(0, 1, 0, 0))
    for row in ordered.head(MOST).to_dict("records"):
        signed = ("-" if np.isnan(row[name]) else f"{row[name]:+.2g}" for name in ("errors", "relative"))
        p = "-" if np.isnan(row["p"]) else f"{row['p']:.2g}"
        numbers = (
            f"{row['a']:.4g}",
            "-" if np.isnan(row["b"]) else f"{row['b']:.4g}",
            *signed,
            p,
            "yes" if row["moved"] else "",
        )
        table.add_row(*map(cell, (_words(row), row["where"], row["number"], *numbers)))
    console = Console()
    (console if console.is_terminal else Console(width=160)).print(table)
    if len(ordered) > MOST:
        print(f"{len(ordered) - MOST} more: --csv FILE has all.")


def _write(numbers: "pd.DataFrame", path: Path) -> None:
    import pyarrow as pa

    from bench.files import replace
    from bench.report.collection.saved import csv_bytes

    replace(path, csv_bytes(pa.Table.from_pandas(numbers, preserve_index=False)))
