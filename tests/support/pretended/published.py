"""`python -m bench.published` with a few steps of two seeds in place of the protocol."""

import sys
from unittest import mock

from bench.published import command
from bench.published.expected import LITTLE, Published, read


def short(name: str) -> Published:
    """The file of this name, of which the first runs take six steps: a graph is captured behind the third."""
    each = read(name)
    few = each.full._replace(steps=6, seeds=each.full.seeds[:2], overrides=LITTLE)
    return each._replace(full=few, runs=each.runs[:1])


if __name__ == "__main__":
    with mock.patch.object(command, "read", short):
        sys.exit(command.main(sys.argv[1:]))
