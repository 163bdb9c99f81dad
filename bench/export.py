"""`python -m bench.export DIR...`: a table for a paper, estimator by metric, as LaTeX, CSV or JSON.

Values, intervals and the best of each metric are those of the report's first screen: the intervals of a metric hold for
all its estimators together, and a value is the best (bold in LaTeX) only where its interval tells it from all others.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from bench.files import replace
from bench.report.collection.collect import Collection, collect, find
from bench.report.figures.panels import of_width
from bench.report.names import read_names, renamed
from bench.report.paper import METRICS, latex, values, wide
from bench.tables.sentence import in_one_sentence
from bench.tables.store import SchemaError
from bench.terminal import Parser, plain, to_its_end


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """The parsed command line."""
    parser = Parser(prog="python -m bench.export", description=(__doc__ or "").partition(": ")[2].partition("\n")[0])
    parser.add_argument("directories", nargs="+", type=Path, metavar="DIR", help="searched for runs, recursively")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--latex", dest="form", action="store_const", const="latex", help="needs booktabs (the default)")
    form.add_argument("--csv", dest="form", action="store_const", const="csv", help="a row for each value")
    form.add_argument("--json", dest="form", action="store_const", const="json", help="a list of objects, one a value")
    parser.add_argument("--wide", action="store_true", help="CSV or JSON with a row for each estimator")
    parser.add_argument(
        "--metrics", type=_metrics, metavar="M,...", default=list(METRICS), help=f"of {', '.join(METRICS)}"
    )
    parser.add_argument("--names", type=Path, metavar="FILE.yaml", help="what to call labels and metrics: `rloo: RLOO`")
    parser.add_argument("--figures", type=Path, metavar="DIR", help="draw every figure there too, with the same names")
    parser.add_argument("--width", type=_inches, metavar="3.3in", default=3.3, help="of these figures (default: 3.3in)")
    parser.add_argument("--out", type=Path, metavar="FILE", help="where it goes (default: standard output)")
    return parser.parse_args(argv)


def _metrics(text: str) -> list[str]:
    names = text.split(",")
    if unknown := [name for name in names if name not in METRICS]:
        raise argparse.ArgumentTypeError(f"there is no metric {unknown[0]!r}; there are {', '.join(METRICS)}.")
    return names


def _inches(text: str) -> float:
    number, unit = text.strip(" incm"), text.strip(" .0123456789")
    try:
        width = float(number) / (2.54 if unit == "cm" else 1)
    except ValueError:
        width = 0.0
    if unit not in ("", "in", "cm") or not 1 <= width <= 40:
        raise argparse.ArgumentTypeError(f"a width is inches from 1 to 40, as 3.3in or 8.4cm; got {text!r}.")
    return width


@to_its_end
def main(argv: Sequence[str] | None = None) -> int:
    """Exit status: 0, or 2 with one sentence on standard error where there is nothing to export or nowhere to write."""
    options = arguments(argv)
    return in_one_sentence("bench.export", lambda: write(options))


def write(options: argparse.Namespace) -> int:
    """The table into its file, or printed."""
    text = export(options)
    if options.out:
        replace(options.out, text.encode())
    else:
        print(text, end="")
    return 0


def export(options: argparse.Namespace) -> str:
    """The table as text."""
    if not (found := find(options.directories)):
        places = ", ".join(map(str, options.directories))
        raise SchemaError(f"No complete run lies under {places}; `python -m bench` makes one.")
    collection, problems = collect(found)
    for line in problems:
        print(plain(line), file=sys.stderr)
    names = read_names(options.names) if options.names else {}
    table = values(collection, options.metrics, names)
    if table.empty:
        raise SchemaError(f"No run has a value of {', '.join(options.metrics)}.")
    if options.figures:
        draw(collection, names, options.figures, options.width)
    if options.form == "csv":
        return (wide(table) if options.wide else table).to_csv(index=False, float_format="%.6g")
    if options.form == "json":
        return (wide(table) if options.wide else table).to_json(orient="records", indent=1, double_precision=15) + "\n"
    panels = table.groupby("panel", sort=False)
    return "\n".join(latex(str(panel), rows, options.metrics, names) for panel, rows in panels)


def draw(collection: Collection, names: dict[str, str], folder: Path, width: float) -> None:
    """Every figure that the collection has data for, `width` inches wide; each estimator looks as in the report."""
    from bench.report.figures.catalogue import applicable, rendered
    from bench.report.figures.style import looks, write_files

    style = looks(collection.units.label).renamed(lambda label: names.get(label, label))
    shown = renamed(collection, names)
    for name in applicable(collection):
        with of_width(width):
            files = rendered(name, shown, style, "encoder")
        if isinstance(files, str):
            print(plain(f"Figure {name} is left out: {files}."), file=sys.stderr)
        else:
            write_files(files, folder, name)


if __name__ == "__main__":
    sys.exit(main())
