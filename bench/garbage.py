"""How often Python looks for objects that refer to each other and that nobody refers to."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

OFTEN = (100_000, 20, 100)  # a figure, or a job of a sweep, makes thousands of objects: a tenth of its time went there


@contextmanager
def seldom_searched() -> Iterator[None]:
    """Inside, some ten thousand of them may wait, which are a few megabytes."""
    before = gc.get_threshold()
    gc.set_threshold(*OFTEN)
    try:
        yield
    finally:
        gc.set_threshold(*before)
