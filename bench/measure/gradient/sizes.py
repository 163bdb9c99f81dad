"""What a computation holds, about: the sizes of the outputs of all its modules, the estimator's own included."""

import weakref
from collections.abc import Iterator
from contextlib import contextmanager

from torch import Tensor, nn


class Outputs:
    """Elements of the outputs of every module.

    Attributes:
        all: their sum; a tensor counts once for every module that it comes out of.
        kept: the sum of those that a backward pass needs; a tensor counts once.
        passing: the largest that none needs, which is gone when the next is there.
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
        elif self._last is None or self._last() is not output:  # else what holds the module gives it on
            self.kept += output.numel()
        self._last = weakref.ref(output)


@contextmanager
def counted_outputs() -> Iterator[Outputs]:
    """The sizes of the outputs of all modules that run inside."""
    outputs = Outputs()
    handle = nn.modules.module.register_module_forward_hook(lambda module, args, output: outputs.note(output))
    try:
        yield outputs
    finally:
        handle.remove()
