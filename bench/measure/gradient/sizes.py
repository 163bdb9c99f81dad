"""An estimate of the memory of a computation: the sizes of the outputs of all modules, the estimator's included."""

import weakref
from collections.abc import Iterator
from contextlib import contextmanager

from torch import Tensor, nn


class Outputs:
    """Counts of the elements of the outputs of every module.

    Attributes:
        all: the sum over all outputs; a tensor counts once for every module that returns it.
        kept: the sum over outputs that a backward pass needs; a tensor counts once.
        passing: the largest output that no backward pass needs; it is released before the next.
    """

    def __init__(self) -> None:
        self.all = self.kept = self.passing = 0
        self._last: weakref.ref[Tensor] | None = None

    def note(self, output: object) -> None:
        """Count one output."""
        if not isinstance(output, Tensor):
            return
        self.all += output.numel()
        if not output.requires_grad:
            self.passing = max(self.passing, output.numel())
        elif self._last is None or self._last() is not output:  # else the enclosing module returns the same tensor
            self.kept += output.numel()
        self._last = weakref.ref(output)


@contextmanager
def counted_outputs() -> Iterator[Outputs]:
    """A context that counts the sizes of the outputs of all modules that run inside."""
    outputs = Outputs()
    handle = nn.modules.module.register_module_forward_hook(lambda module, args, output: outputs.note(output))
    try:
        yield outputs
    finally:
        handle.remove()
