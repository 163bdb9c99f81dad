"""`python -m bench.report DIR...`: collect run directories into tables, a comparison and figures."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from bench.files import replace
from bench.garbage import seldom_searched
from bench.report.collection.collect import BASELINE, Collection, collect, find, unfinished, widened
from bench.report.collection.compare import comparison, to_arrow
from bench.report.collection.folder import rewritten
from bench.report.collection.pairs import pairs
from bench.report.collection.ranks import ranks
from bench.report.collection.saved import read_saved, write_tables
from bench.report.figures.catalogue import applicable
from bench.report.figures.style import looks, write_files
from bench.report.figures.together import Figures, Second, second
from bench.report.names import called, read_names, renamed
from bench.report.options import arguments, command_line
from bench.report.page.html import page
from bench.report.show import show_comparison, show_endings
from bench.tables import tuning
from bench.tables.columns import OF_REPORT
from bench.tables.schema import OF_SOME
from bench.tables.sentence import in_one_sentence
from bench.tables.store import SchemaError
from bench.terminal import plain, progress_bar, to_its_end

if TYPE_CHECKING:
    import pandas as pd

PAGE = "report.html"


@to_its_end
def main(argv: Sequence[str] | None = None) -> int:
    """Exit status: 0, or 2 with one sentence on standard error where there is nothing to report or nowhere to write."""
    options = arguments(argv)
    with seldom_searched():
        return in_one_sentence("bench.report", lambda: report(options))


def report(options: argparse.Namespace) -> int:
    """Read, write and print everything."""
    found, waiting = find(options.directories), unfinished(options.directories)
    if not found:
        places = ", ".join(map(str, options.directories))
        raise SchemaError(f"No complete run lies under {places}; `python -m bench` makes one.")
    only = options.only and [name for names in options.only for name in names]
    with second(len(found), only) as other:
        return _report(options, found, waiting, other)


def _report(options: argparse.Namespace, found: list[Path], waiting: int, other: Second | None) -> int:
    collection, problems = collect(found)
    for line in problems:
        print(plain(line), file=sys.stderr)
    out = options.out or options.directories[0] / "report"
    own = out.resolve() in found  # the report that is read is the one that is written
    if own:
        _loses_no_run(out, collection)
    if options.baseline != BASELINE:
        _has_baseline(collection, options.baseline)
    collection = collection._replace(baseline=options.baseline)
    style = looks(collection.units.label)  # before choosing families, so that colours do not depend on the choice
    whole, collection = collection, _of_families(collection, options.families)
    names = read_names(options.names) if options.names else {}
    shown, style = renamed(collection, names), style.renamed(lambda label: names.get(label, label))
    drawing = Figures(_asked(options.only, applicable(shown)), shown, style, options.part, other)
    compared, paired = comparison(collection), pairs(collection)
    with rewritten(out) as stage:
        if own and options.families:
            print(f"{out} is read and written: its tables keep all families.")
            write_tables(_tables(whole, comparison(whole), pairs(whole)), stage, as_csv=options.csv)
        else:
            write_tables(_tables(collection, compared, paired), stage, as_csv=options.csv)
        if waiting:
            print(f"{collection.tables['runs'].num_rows} runs are complete, {waiting} are not.")
        show_comparison(compared)
        show_endings(collection.units)
        drawn = _draw(drawing, stage / "figures")
        text = page(
            shown,
            called(compared, names, "label"),
            called(paired, names, "A", "B"),
            drawn,
            command_line(options),
            options.part,
            waiting,
            options.rank_survivors,
            style,
            _docs(out),
        )
        replace(stage / PAGE, text.encode())
    print(f"{collection.tables['runs'].num_rows} runs; tables in {out}, figures in {out / 'figures'}")
    print(f"All on one page: {out / PAGE}")
    return 0


def _docs(out: Path) -> str:
    """docs/choosing.md as seen from the folder, where both lie in one checkout; else empty."""
    root = Path(__file__).resolve().parents[2]
    choosing = root / "docs" / "choosing.md"
    inside = out.resolve().is_relative_to(root) and choosing.is_file()
    return Path(os.path.relpath(choosing, out.resolve())).as_posix() if inside else ""


def _has_baseline(collection: Collection, name: str) -> None:
    """Raises SchemaError where no run is of that label or estimator."""
    estimators = sorted(collection.units.estimator.unique())
    if name not in {*collection.units.label, *estimators}:
        raise SchemaError(f"--baseline: no run is of {name!r}; there are {', '.join(estimators)}.")


def _loses_no_run(out: Path, collection: Collection) -> None:
    """Raises SchemaError where the only copy of a run would be overwritten by tables without it."""
    kept = set(collection.tables["runs"]["run"].to_pylist())
    if lost := {name for tables in read_saved(out) for name in tables["runs"]["run"].to_pylist()} - kept:
        raise SchemaError(
            f"{out} is read and written, and {len(lost)} of its runs cannot be reported: name another place with --out."
        )


def _tables(collection: Collection, compared: "pd.DataFrame", paired: "pd.DataFrame") -> dict[str, pa.Table]:
    """The tables of the report; one that only some reports have is there where it has rows."""
    added = {"comparison": compared, "pairs": paired, "ranks": ranks(collection)}
    tables = collection.tables | {"runs": widened(collection.tables["runs"])}
    tables |= {name: to_arrow(table, OF_REPORT[name]) for name, table in added.items()}
    tables["tuning"] = tuning.table(dict(row) for _, row in collection.tuning.iterrows())
    return {name: table for name, table in tables.items() if table.num_rows or name not in (*OF_SOME, "tuning")}


def _draw(figures: Figures, to: Path) -> dict[str, bytes]:
    """Write these figures, with a line for each that is left out; the SVG of the others by name."""
    drawn, left_out = {}, []
    with progress_bar("figures", len(figures.asked), sys.stderr.isatty()) as advance:
        files = figures.drawn(advance)
    for name, content in files.items():
        if isinstance(content, str):
            left_out.append(f"Figure {name} is left out: {content}.")
        else:
            write_files(content, to, name)
            drawn[name] = content["svg"]
    for line in left_out:
        print(plain(line))
    return drawn


def _asked(only: list[list[str]] | None, there: list[str]) -> list[str]:
    """The figures to draw: all there is data for, or those asked for; of several that share words, those with data."""
    if only is None:
        return there
    chosen = [name for names in only for name in ([n for n in names if n in there] or names)]
    return list(dict.fromkeys(chosen))


def _of_families(collection: Collection, families: list[str] | None) -> Collection:
    """The collection without the other families."""
    if not families:
        return collection
    present = sorted(collection.units.family.unique())
    if unknown := sorted(set(families) - set(present)):
        raise SchemaError(f"No run has latent family {unknown[0]!r}; there are {', '.join(present)}.")
    units = collection.units[collection.units.family.isin(families)].reset_index(drop=True)
    runs = [row["run"] for row in collection.tables["runs"].to_pylist() if row["family"] in families]
    tables = {n: _among(t, runs) for n, t in collection.tables.items()}
    return collection._replace(tables=tables, units=units, tuning=collection.tuning[collection.tuning.run.isin(runs)])


def _among(table: pa.Table, runs: list[str]) -> pa.Table:
    return table.filter(pc.is_in(table["run"], pa.array(runs, pa.string())))
