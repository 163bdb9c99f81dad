"""Options of `python -m bench.report DIR...`: collect run directories into tables, a comparison and figures."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from bench.report.collection.collect import BASELINE
from bench.report.figures.catalogue import AT_CHECKPOINTS, FIGURES
from bench.terminal import Parser

PART = "encoder"


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """The parsed command line."""
    parser = Parser(prog="python -m bench.report", description=(__doc__ or "").partition(": ")[2])
    parser.add_argument("directories", nargs="+", type=Path, metavar="DIR", help="searched for runs, recursively")
    parser.add_argument("--out", type=Path, help="where everything goes (default: report in the first DIR)")
    parser.add_argument("--csv", action="store_true", help="write each table as CSV too")
    names = [*FIGURES, *AT_CHECKPOINTS]
    parser.add_argument(
        "--only", action="append", type=named, metavar="FIGURE", help=f"a name or words of it: {', '.join(names)}"
    )
    parser.add_argument(
        "--families", type=lambda text: text.split(","), metavar="F,...", help="these latent families only"
    )
    parser.add_argument("--part", default=PART, help=f"part of the gradient in the figures (default: {PART})")
    parser.add_argument(
        "--baseline",
        default=BASELINE,
        metavar="LABEL",
        help=f"what the table ranks compares all others with (default: {BASELINE})",
    )
    parser.add_argument(
        "--names", type=Path, metavar="FILE.yaml", help="what the page and its figures call labels: `rloo: RLOO`"
    )
    parser.add_argument(
        "--rank-survivors",
        action="store_true",
        help="rank configurations of which runs failed or diverged too, by the runs that are left",
    )
    return parser.parse_args(argv)


def named(text: str) -> list[str]:
    """The figures that `--only` asks for: the one of that name, or all whose name has these words."""
    names = [*FIGURES, *AT_CHECKPOINTS]
    found = [text] if text in names else [name for name in names if f"_{text}" in f"_{name}"]
    if not found or not text:
        raise argparse.ArgumentTypeError(f"there is no figure {text!r}; there are {', '.join(names)}.")
    return found


def command_line(options: argparse.Namespace) -> list[str]:
    """The words that ask for the same page again."""
    command = ["python", "-m", "bench.report", *map(str, options.directories)]
    command += ["--families", ",".join(options.families)] if options.families else []
    command += ["--part", options.part] if options.part != PART else []
    command += ["--baseline", options.baseline] if options.baseline != BASELINE else []
    command += ["--names", str(options.names)] if options.names else []
    command += ["--rank-survivors"] if options.rank_survivors else []
    return command
