"""`python -m bench.list [--markdown]`: every estimator option, what it is for and where it comes from."""

import argparse
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from bench import plugins
from bench.config import BadInput
from estimators import Estimator

if TYPE_CHECKING:
    from rich.table import Table

COLUMNS = ("name", "families", "unbiased", "objective", "evaluations", "paper", "source")


def rows() -> Iterator[tuple[str, ...]]:
    """The cells of `COLUMNS` of every class, and below each class those of its presets."""
    for name, (cls, source) in plugins.registry().items():
        yield _row(name, cls, source)
        for preset, configured in plugins.presets().items():
            if configured is cls:
                yield _row(preset, cls, f"conf/estimator/{preset}.yaml, of {name}")


def markdown() -> str:
    """The same table for `docs/`."""
    lines = [COLUMNS, tuple("---" for _ in COLUMNS), *rows()]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def main(argv: Sequence[str] | None = None) -> int:
    """Print the table; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m bench.list", description=__doc__)
    parser.add_argument("--markdown", action="store_true", help="a Markdown table instead of one for the terminal")
    options = parser.parse_args(argv)
    try:
        table = markdown() if options.markdown else _rich()
    except BadInput as error:
        print(error, file=sys.stderr)
        return 2
    from rich import print as show

    print(table) if isinstance(table, str) else show(table)
    return 0


def _rich() -> "Table":
    from rich.table import Table

    table = Table()
    for column in COLUMNS:
        table.add_column(column, no_wrap=column == "name", overflow="fold")
    for row in rows():
        table.add_row(*row)
    return table


def _row(name: str, cls: type[Estimator], source: str) -> tuple[str, ...]:
    try:
        unbiased = plugins.estimator(name).unbiased  # of the instance: it may depend on the hyper-parameters
    except BadInput:
        unbiased = cls.unbiased  # a hyper-parameter has no default
    families = ", ".join(latent.family for latent in cls.latents)
    return name, families, "yes" if unbiased else "no", cls.objective, cls.evaluations, cls.paper, source


if __name__ == "__main__":
    sys.exit(main())
