"""`python -m bench.report DIR...`: collect run directories into tables, a comparison and figures."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

import pyarrow as pa
import pyarrow.compute as pc

from bench.report.collect import Collection, collect, find, save, widened
from bench.report.compare import COMPARISON, comparison, to_arrow
from bench.report.figures import FIGURES, SHARED, applicable, draw
from bench.report.pairs import PAIRS, pairs
from bench.report.show import show_comparison, show_endings
from bench.report.style import looks
from bench.report.style import save as save_figure
from bench.tables import SchemaError


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one sentence, without the usage."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}\n")


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """The parsed command line."""
    parser = Parser(prog="python -m bench.report", description=__doc__.partition(": ")[2])
    parser.add_argument("directories", nargs="+", type=Path, metavar="DIR", help="searched for runs, recursively")
    parser.add_argument("--out", type=Path, help="where everything goes (default: report in the first DIR)")
    parser.add_argument("--csv", action="store_true", help="write each table as CSV too")
    names = [*FIGURES, *SHARED]
    parser.add_argument("--only", action="append", choices=names, metavar="FIGURE", help=", ".join(names))
    parser.add_argument(
        "--families", type=lambda text: text.split(","), metavar="F,...", help="these latent families only"
    )
    parser.add_argument("--part", default="encoder", help="part of the gradient in the figures (default: encoder)")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Exit status: 0, or 2 with one sentence on standard error where there is nothing to report or nowhere to write."""
    options = arguments(argv)
    try:
        return report(options)
    except SchemaError as error:
        print(f"python -m bench.report: {error}", file=sys.stderr)
    except OSError as error:
        print(f"python -m bench.report: cannot use {error.filename}: {error.strerror}.", file=sys.stderr)
    return 2


def report(options: argparse.Namespace) -> int:
    """Read, write and print everything."""
    found = find(options.directories)
    if not found:
        places = ", ".join(map(str, options.directories))
        raise SchemaError(f"No complete run lies under {places}; `python -m bench` makes one.")
    collection, problems = collect(found)
    for line in problems:
        print(line, file=sys.stderr)
    out = options.out or options.directories[0] / "report"
    style = looks(collection.units.label)  # before choosing families, so that colours do not depend on the choice
    collection = _of_families(collection, options.families)
    compared = comparison(collection)
    tables = collection.tables | {"runs": widened(collection.tables["runs"])}
    tables |= {"comparison": to_arrow(compared, COMPARISON), "pairs": to_arrow(pairs(collection), PAIRS)}
    save(tables, out, as_csv=options.csv)
    show_comparison(compared)
    show_endings(collection.units)
    for name in options.only or applicable(collection):
        figure = draw(name, collection, style, options.part)
        if isinstance(figure, str):
            print(f"Figure {name} is left out: {figure}.")
        else:
            save_figure(figure, out / "figures", name)
    print(f"{collection.tables['runs'].num_rows} runs; tables in {out}, figures in {out / 'figures'}")
    return 0


def _of_families(collection: Collection, families: list[str] | None) -> Collection:
    """The collection without the other families."""
    if not families:
        return collection
    present = sorted(collection.units.family.unique())
    if unknown := sorted(set(families) - set(present)):
        raise SchemaError(f"No run has latent family {unknown[0]!r}; there are {', '.join(present)}.")
    units = collection.units[collection.units.family.isin(families)].reset_index(drop=True)
    runs = [row["run"] for row in collection.tables["runs"].to_pylist() if row["family"] in families]
    return Collection({name: _among(table, runs) for name, table in collection.tables.items()}, units)


def _among(table: pa.Table, runs: list[str]) -> pa.Table:
    return table.filter(pc.is_in(table["run"], pa.array(runs, pa.string())))


if __name__ == "__main__":
    raise SystemExit(main())
