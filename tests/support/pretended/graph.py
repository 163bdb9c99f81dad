"""CUDA graphs of the pretended device that replay, and what its host would wait for.

A graph is a list of the kernels that ran while it was captured. Replaying runs them again on the same memory: what the
host decided or sent while capturing stays as it was then, as on a GPU.
"""

from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import _disable_current_modes
from torch.utils._pytree import tree_leaves

aten = torch.ops.aten
COPIES = (aten._to_copy.default, aten.copy_.default, aten.lift_fresh.default)
INDEXED = ("aten::index", "aten::index_put_", "aten::index_put", "aten::_index_put_impl_")
UNFILLED = ("aten::empty", "aten::empty_like", "aten::empty_strided", "aten::new_empty", "aten::new_empty_strided")
FREE = (
    *UNFILLED,
    "aten::_unsafe_view",
    "aten::resize_",
    "aten::_efficientzerotensor",
)  # no kernel, though no view by their schema
WAITING = {  # the host needs a size or a verdict of theirs before it goes on
    "aten::_local_scalar_dense", "aten::is_nonzero", "aten::equal", "aten::nonzero", "aten::masked_select",
    "aten::_unique2", "aten::unique_dim", "aten::unique_consecutive", "aten::bincount", "aten::multinomial",
    "aten::_linalg_eigh", "aten::_linalg_svd", "aten::_linalg_check_errors", "aten::linalg_lstsq", "aten::linalg_qr",
    "aten::_linalg_det", "aten::linalg_eig", "aten::_linalg_eigvals", "aten::repeat_interleave",
    "aten::_linalg_slogdet",
}  # fmt: skip


class Graph:
    """What `torch.cuda.CUDAGraph` is here."""

    def __init__(self) -> None:
        self.tape: list[tuple[Any, tuple, dict, Any]] = []
        self.generators = [torch.default_generator]

    def register_generator_state(self, generator: torch.Generator) -> None:
        """This stream goes on with every replay."""
        self.generators.append(generator)

    def begin(self) -> None:
        """What is captured is not done: remember what there is."""
        self.streams = [generator.get_state() for generator in self.generators]
        self.written: dict[int, tuple[Tensor, Tensor]] = {}

    def keep(self, func, args: tuple, kwargs: dict) -> None:
        """Remember the tensors that an operator is about to write to."""
        for number, argument in enumerate(func._schema.arguments):
            if argument.alias_info is not None and argument.alias_info.is_write:
                given = args[number] if number < len(args) else kwargs.get(argument.name)
                for t in tree_leaves(given):
                    if isinstance(t, Tensor) and id(t) not in self.written:
                        with _disable_current_modes():
                            self.written[id(t)] = t.detach(), t.detach().clone()

    def undo(self) -> None:
        """Put everything back as it was before the capture."""
        with _disable_current_modes():
            for tensor, value in reversed(self.written.values()):
                tensor.copy_(value)
        for generator, state in zip(self.generators, self.streams, strict=True):
            generator.set_state(state)

    def replay(self) -> None:
        """Run the kernels again, each into the memory it was captured with."""
        with torch.no_grad(), _disable_current_modes():
            for func, args, kwargs, out in self.tape:
                again = func(*args, **kwargs)
                for old, new in zip(tree_leaves(out), tree_leaves(again), strict=True):
                    if isinstance(old, Tensor) and old is not new:
                        old.copy_(new)


def waits(func, args: tuple, tensors: list[Tensor], device) -> str | None:
    """What in this operator the host waits for, or None."""
    name = func._schema.name
    if name in WAITING:
        return str(func)
    if func in COPIES:
        target = torch.device(device) if device is not None else args[0].device
        return f"{func} between devices" if any(t.device.type != target.type for t in tensors) or (
            func is aten.lift_fresh.default
        ) else None  # fmt: skip
    if name in INDEXED:
        indices = [i for i in args[1] if i is not None]
        if any(i.dtype in (torch.bool, torch.uint8) for i in indices):
            return f"{func} by a mask"
        if any(not i.is_cuda for i in indices):
            return f"{func} by indices of the host"
    if name == "aten::where" and any(not t.is_cuda for t in tensors):
        return f"{func} of a number on the host"
    return None


def is_kernel(func) -> bool:
    """Whether the device has anything to do: what is neither a view nor memory without content."""
    schema = func._schema
    made = schema.returns
    view = bool(made) and all(r.alias_info is not None and not r.alias_info.is_write for r in made)
    return not view and schema.name not in FREE and not schema.name.startswith("prim")
