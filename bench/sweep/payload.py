"""What every job of a sweep shares, as bytes."""

import io
import pickle
import sys
from dataclasses import is_dataclass
from typing import Any

from bench.config import parts
from bench.config.nodes import node


class _Pickler(pickle.Pickler):
    """Writes a typed node, a class that no module holds, as the class that it is made from."""

    def reducer_override(self, thing: Any) -> Any:
        if not (isinstance(thing, type) and is_dataclass(thing) and hasattr(thing, "_target_")):
            return NotImplemented
        if getattr(sys.modules.get(thing.__module__), thing.__qualname__, None) is thing:
            return NotImplemented
        group = getattr(thing, "_group_")  # noqa: B009
        return node, (parts.target(group, thing._target_), group)


def packed(*things: Any) -> bytes:
    """The pickle of configurations with typed nodes; `pickle.loads` reads it."""
    stream = io.BytesIO()
    _Pickler(stream, pickle.HIGHEST_PROTOCOL).dump(things)
    return stream.getvalue()
