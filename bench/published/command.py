"""`python -m bench.published NAME...`: run what is missing of published numbers, and write them beside ours.

The runs are ordinary ones, so that the same command goes on where an earlier one ended. Words with `=` say where they
are made, as `data.root=data`, or which are, as `estimator=disarm`. Without a NAME the page alone is written.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from bench.errors import BadInput
from bench.published.choice import chosen
from bench.published.expected import FORMS, TIMED, Published, names, read
from bench.published.results import place
from bench.tables.store import SchemaError
from bench.terminal import Parser, plain, to_its_end

RESULTS, PAGE = Path("results/published"), Path("docs/published.md")


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """The parsed command line."""
    parser = Parser(prog="python -m bench.published", description=(__doc__ or "").partition(": ")[2].partition("\n")[0])
    parser.add_argument(
        "words",
        nargs="*",
        metavar="NAME",
        help="of conf/published; KEY=VALUE chooses among its runs, or is data.root, device and such",
    )
    form = parser.add_mutually_exclusive_group()
    short, timed = "the short forms, for two cores", "a step of every run: what the full forms would cost here"
    form.add_argument("--short", dest="form", action="store_const", const="short", default="full", help=short)
    form.add_argument("--time", dest="form", action="store_const", const=TIMED, help=timed)
    parser.add_argument(
        "--list", action="store_true", help="what there is, how much of it ran, what the rest would cost"
    )
    parser.add_argument("--jobs", type=int, metavar="N", help="runs at once, by the pool (default: one after another)")
    together = "all seeds of a configuration at once; pays on a GPU (default: there)"
    parser.add_argument("--replicas", action=argparse.BooleanOptionalAction, help=together)
    parser.add_argument("--results", type=Path, default=RESULTS, metavar="DIR", help=f"tables (default: {RESULTS})")
    parser.add_argument("--page", type=Path, default=PAGE, metavar="FILE", help=f"the page (default: {PAGE})")
    parser.add_argument("--dry-run", action="store_true", help="print the commands, and run nothing")
    return parser.parse_args(argv)


@to_its_end
def main(argv: Sequence[str] | None = None) -> int:
    """Exit status: 0; 1 where a run failed; 2 where the input is bad; 130 where interrupted. Disagreement is none."""
    options = arguments(argv)
    try:
        return published(options)
    except (BadInput, SchemaError) as error:
        print(f"python -m bench.published: {plain(error)}", file=sys.stderr)
    except OSError as error:
        print(f"python -m bench.published: cannot use {error.filename}: {error.strerror}.", file=sys.stderr)
    return 2


def published(options: argparse.Namespace) -> int:
    """Run, keep the tables, write the page."""
    from bench import cli
    from bench.files import replace
    from bench.published.page import page

    wanted = [read(word) for word in options.words if "=" not in word]
    overrides = [word for word in options.words if "=" in word]
    if overrides and not wanted:
        raise BadInput(f"{overrides[0]} is an override, and no NAME says of which runs.")
    if options.jobs is not None and options.jobs < 1:
        raise BadInput(f"--jobs needs a whole number of 1 or more; got {options.jobs}.")
    if options.list:
        show(wanted or [read(name) for name in names()], options.results)
        return 0
    status, form = 0, options.form
    for each, left in [chosen(each, form, overrides) for each in wanted]:
        for words in commands(each, form, left, options.jobs, replicas(options.replicas, left)):
            print(f"python -m bench {' '.join(words)}")
            if not options.dry_run:
                status = max(status, cli.main(words))
            if status > 1:
                return status
        if not options.dry_run:
            keep(each, form, Path(last(overrides, "output", "outputs")), options.results)
    if not options.dry_run:
        replace(options.page, page([read(name) for name in names()], options.results).encode())
        print(f"The page is {options.page}.")
    return status


def replicas(asked: bool | None, overrides: list[str]) -> bool:
    """Whether the seeds of a configuration are trained at once: as was asked, else on a GPU."""
    if asked is not None:
        return asked
    device = last(overrides, "device", "auto")
    if device == "auto":
        import torch

        return torch.cuda.is_available()
    return device == "cuda"


def last(overrides: list[str], key: str, otherwise: str) -> str:
    """The value that the last override of this key gives, without its quotes. BadInput where it is none."""
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    from bench.config.sentences import first_line

    found = [o for o in overrides if o.partition("=")[0] == key]
    try:
        return str(OverridesParser.create().parse_override(found[-1]).value()) if found else otherwise
    except HydraException as error:
        raise BadInput(f"{found[-1]} is no override: {first_line(error)}") from error


def commands(
    each: Published, form: str, overrides: list[str], jobs: int | None = None, together: bool = False
) -> list[list[str]]:
    """The arguments of `python -m bench`, one list for each sweep of the form. Seeds are trained together where they
    can be and follow one another; runs of both forms of one experiment lie in one folder, whatever names them."""
    of = each.form(form)
    first, count = of.seeds[0], len(of.seeds)
    seeds = [f"seed={','.join(map(str, of.seeds))}"]
    if together and each.replicas and count > 1 and of.seeds == tuple(range(first, first + count)):
        seeds = [f"seed={first}", f"replicas={count}"]
    pool = ["hydra/launcher=pool", f"hydra.launcher.n_jobs={jobs}"] if jobs else []
    common = [f"experiment={each.experiment}", f"name={folder(each, form)}", f"train.steps={of.steps}", *seeds]
    return [["--multirun", *common, *pool, *of.overrides, *own, *overrides] for own in each.runs]


def folder(each: Published, form: str) -> str:
    """The name of the sweep."""
    return f"published_{each.experiment}{'' if form == 'full' else f'_{form}'}"


def keep(each: Published, form: str, output: Path, root: Path) -> None:
    """Write the tables of all runs of the form, with those that are kept already: of another machine, or a sitting of
    before. Raises SchemaError where there is none."""
    from bench.report.collection.collect import collect, find, widened
    from bench.report.collection.compare import comparison, to_arrow
    from bench.report.collection.saved import write_tables
    from bench.tables.columns import COMPARISON

    to = place(root, each, form)
    found = find([at for at in (output / folder(each, form), to) if at.is_dir()])
    if not found:
        raise SchemaError(f"No run of {each.name} is complete.")
    collection, _ = collect(found)
    compared = to_arrow(comparison(collection), COMPARISON)
    runs = widened(collection.tables["runs"])
    write_tables(collection.tables | {"runs": runs, "comparison": compared}, to, as_csv=False)


def show(every: list[Published], root: Path) -> None:
    """A line for each form."""
    from rich.console import Console
    from rich.table import Table

    from bench.published.page import duration
    from bench.published.results import cells
    from bench.terminal import cell

    table = Table("name", "form", "numbers", "ran", "verdicts", "missing", box=None, padding=(0, 1, 0, 0))
    for each in every:
        for form in FORMS:
            found = cells(each, root, form)
            ran = [c for c in found if c.ours]
            verdicts = [c.compared.verdict for c in found if c.compared]
            said = ", ".join(f"{verdicts.count(v)} {v}" for v in dict.fromkeys(verdicts))
            left = [c for c in found if not c.ours]
            known = {run: seconds for c in left if c.cost for run, seconds in c.cost.seconds.items()}  # once each
            cost = duration(sum(known.values())) if left and all(c.cost for c in left) else "not known" if left else ""
            table.add_row(*map(cell, (each.name, form, len(found), len(ran), said, cost)))
    console = Console()
    (console if console.is_terminal else Console(width=160)).print(table)
