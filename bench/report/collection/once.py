"""What a report asks of the same runs for many panels and criteria is computed once."""

from collections.abc import Callable
from copy import copy
from functools import wraps
from typing import Any, TypeVar

Asked = TypeVar("Asked")
Told = TypeVar("Told")


def once(function: Callable[[Asked], Told]) -> Callable[[Asked], Told]:
    """The function, which keeps its last result for as long as it is asked about the same object; each caller has a
    copy."""
    kept: list[Any] = []

    @wraps(function)
    def remembered(asked: Asked) -> Told:
        if not kept or kept[0] is not asked:
            kept[:] = asked, function(asked)
        found: Told = copy(kept[1])
        return found

    return remembered
