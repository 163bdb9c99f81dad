"""How a command that reads tables ends: with its own exit status, or with one sentence."""

import sys
from collections.abc import Callable

from bench.errors import BadInput
from bench.tables.store import SchemaError
from bench.terminal import plain


def in_one_sentence(name: str, work: Callable[[], int]) -> int:
    """Exit status of `work`; 2, with one sentence on standard error that begins with the command's name, where there is
    nothing to read, something cannot be used, or a file cannot be read or written."""
    try:
        return work()
    except (SchemaError, BadInput) as error:
        print(f"python -m {name}: {plain(error)}", file=sys.stderr)
    except OSError as error:
        print(f"python -m {name}: cannot use {error.filename}: {error.strerror}.", file=sys.stderr)
    return 2
