"""Tasks for the processes of the conformance kit."""

import os
import time


def shared(number: int, seconds: float) -> int:
    """Its square; a negative one ends its process."""
    time.sleep(seconds)
    if number < 0:
        os._exit(3)
    return number * number


def begun(number: int) -> tuple[int, float]:
    """The number, and when its task was begun (s)."""
    return number, time.monotonic()
