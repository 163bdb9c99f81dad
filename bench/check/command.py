"""`python -m bench.check [NAME ...]`: check estimators against the contract, and latents and models of packages against
theirs; without names, all options and presets of estimators."""

import argparse
import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from bench.check.spread import start_server
from bench.cores import cores
from bench.errors import BadInput, nearest
from bench.terminal import Parser, to_its_end

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.check.brought import Part
    from bench.check.several import Timed
    from bench.check.subject import Subject

MOST = 8  # processes, unless more are asked for: each needs a gigabyte
STYLES = {"ok": "green", "FAILED": "bold red", "info": "cyan", "skipped": "dim"}


@to_its_end
def main(argv: Sequence[str] | None = None) -> int:
    """Run the command. Returns the exit status: 0, 1 if a check fails, 2 if a name is unknown."""
    parser = Parser(prog="python -m bench.check", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="options or presets; by default all")
    parser.add_argument("--family", action="append", default=[], help="only this latent family; may be repeated")
    parser.add_argument("--quick", action="store_true", help="a 32nd of the draws; shows larger biases only")
    several = "processes at once (default: one a core, at most 8; a single name with --quick is checked in this one)"
    parser.add_argument("--workers", type=int, metavar="N", help=several)
    parser.add_argument("--compile", action="store_true", help="torch.compile too; needs a C++ compiler and seconds")
    options = parser.parse_args(argv)
    if options.workers is not None and options.workers < 1:
        print(f"--workers is how many processes check at once, 1 or more; got {options.workers}.", file=sys.stderr)
        return 2
    single = options.quick and len(options.names) == 1
    workers = options.workers or (1 if single else min(cores(), MOST))
    if workers > 1:
        start_server()  # it loads torch while this process does
    from bench.check.subject import names
    from estimators import FAMILIES

    try:
        for family in options.family:
            if family not in FAMILIES:
                raise BadInput(f"There is no latent family {family}: {nearest(family, FAMILIES)}")
        subjects = [_asked(name) for name in options.names or names()]
    except BadInput as error:
        print(error, file=sys.stderr)
        return 2
    return _show(subjects, options, workers)


def _asked(name: str) -> "Subject | Part":
    """The estimator of this name, else the latents or the model of a package. An unknown name raises BadInput."""
    from bench.check.brought import part
    from bench.check.subject import names, subject

    return (None if name in names() else part(name)) or subject(name)


def _every(subjects: "Sequence[Subject | Part]", options: argparse.Namespace) -> "Iterator[Timed]":
    """As `several`, from this process."""
    from bench.check.brought import Part, part_verdicts
    from bench.check.kit import verdicts
    from bench.check.several import since

    for one in subjects:
        if isinstance(one, Part):
            found = part_verdicts(one)
        else:
            found = verdicts(one, options.family, options.quick, options.compile)
        yield found, since(time.perf_counter())


def _show(subjects: "Sequence[Subject | Part]", options: argparse.Namespace, workers: int) -> int:
    from rich.console import Console
    from rich.text import Text

    from bench.check.several import several

    every = _every(subjects, options) if workers == 1 else several(subjects, options, workers)
    console = Console(highlight=False, soft_wrap=True)
    failed: dict[str, int] = {}
    for subject, (found_of_it, seconds) in zip(subjects, every, strict=True):
        for found in found_of_it:
            line = f"{subject.name:24} {found.family:12} {found.rule:17} "
            rest = f" {found.number}" + (f"  {found.reason}" if found.reason and found.status != "FAILED" else "")
            console.print(Text.assemble(line, (f"{found.status:7}", STYLES[found.status]), rest))
            if found.status == "FAILED":
                failed[subject.name] = failed.get(subject.name, 0) + 1
                for label, text in (("rule", found.broken), ("found", found.reason), ("file", subject.source)):
                    console.print(Text(f"    {label:6}{text}"))
        console.print(Text(f"{subject.name:24} {seconds():.1f} s", "dim"))
    broken = ", ".join(f"{name} ({count})" for name, count in failed.items())
    console.print(f"{len(subjects)} checked; " + (f"failed: {broken}" if failed else "every check passed."))
    return 1 if failed else 0
