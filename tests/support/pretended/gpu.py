"""The pretended device as `torch.cuda` shows it, what its host would wait for, and CUDA graphs that replay.

A graph is a list of the kernels that ran while it was captured. Replaying runs them again on the same memory: what the
host decided or sent while capturing stays as it was then, as on a GPU.
"""

import ctypes
import os
import sys
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

ctypes.CDLL(os.environ["PRETENDED_GPU"])  # before PyTorch, which asks for devices once

import torch  # noqa: E402
from torch import Tensor  # noqa: E402
from torch.utils._python_dispatch import TorchDispatchMode, _disable_current_modes  # noqa: E402
from torch.utils._pytree import tree_leaves  # noqa: E402

ROOT = str(Path(__file__).parents[3]) + os.sep
HERE = str(Path(__file__).parent)
aten = torch.ops.aten
COPIES = (aten._to_copy.default, aten.copy_.default, aten.lift_fresh.default)
INDEXED = ("aten::index", "aten::index_put_", "aten::index_put", "aten::_index_put_impl_")
UNFILLED = ("aten::empty", "aten::empty_like", "aten::empty_strided", "aten::new_empty", "aten::new_empty_strided")
FREE = (*UNFILLED, "aten::_unsafe_view", "aten::resize_")  # no kernel, though no view by their schema
WAITING = {  # the host needs a size or a verdict of theirs before it goes on
    "aten::_local_scalar_dense", "aten::is_nonzero", "aten::equal", "aten::nonzero", "aten::masked_select",
    "aten::_unique2", "aten::unique_dim", "aten::unique_consecutive", "aten::bincount", "aten::multinomial",
    "aten::_linalg_eigh", "aten::_linalg_svd", "aten::linalg_cholesky_ex", "aten::cholesky", "aten::linalg_inv_ex",
    "aten::_linalg_solve_ex", "aten::linalg_lu_factor_ex", "aten::linalg_lstsq", "aten::linalg_qr", "aten::_linalg_det",
    "aten::linalg_eig", "aten::_linalg_eigvals", "aten::repeat_interleave", "aten::_linalg_slogdet",
}  # fmt: skip


class Seen(NamedTuple):
    """Something that a step on a GPU should not do."""

    kind: str  # wait | mix
    what: str  # the operator
    place: str  # in this project


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


class Watch(TorchDispatchMode):
    """Counts kernels by operator, and takes note of waits and of operators over both devices.

    Attributes:
        kernels: how often each operator ran on the device.
        seen: every wait and every mix.
    """

    active: "Watch | None" = None
    capturing: "Graph | None" = None

    def __init__(self) -> None:
        super().__init__()
        self.kernels: Counter[str] = Counter()
        self.seen: list[Seen] = []

    def __enter__(self):
        Watch.active = self
        return super().__enter__()

    def __exit__(self, *error):
        Watch.active = None
        return super().__exit__(*error)

    def note(self, kind: str, what: str) -> None:
        """See something; a wait while capturing is an error, as on a GPU."""
        self.seen.append(Seen(kind, what, place()))
        if Watch.capturing is not None and kind == "wait":
            raise RuntimeError(f"CUDA error: operation not permitted when stream is capturing ({what})")

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        tensors = [a for a in tree_leaves((args, kwargs)) if isinstance(a, Tensor)]
        there = [t for t in tensors if t.is_cuda]
        device = kwargs.get("device")
        if not there and (device is None or torch.device(device).type != "cuda"):
            return func(*args, **kwargs)
        if reason := waits(func, args, tensors, device):
            self.note("wait", reason)
        elif func not in COPIES and there and any(not t.is_cuda and t.ndim for t in tensors):
            self.note("mix", str(func))
        if Watch.capturing is not None:
            Watch.capturing.keep(func, args, kwargs)
        out = func(*args, **kwargs)
        if is_kernel(func):
            self.kernels[str(func)] += 1
            if Watch.capturing is not None:
                Watch.capturing.tape.append((func, args, kwargs, out))
        return out


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


def place() -> str:
    """Where in this project the present operator was asked for; "backward" where autograd asked."""
    frame = sys._getframe(1)
    while frame is not None:
        file = frame.f_code.co_filename
        if file.startswith(ROOT) and not file.startswith(HERE) and "site-packages" not in file:
            return f"{file[len(ROOT) :]}:{frame.f_lineno}"
        frame = frame.f_back  # type: ignore[assignment]
    return "backward"


class _Stream:
    def wait_stream(self, other: "_Stream") -> None:
        """Nothing runs beside anything here."""

    def synchronize(self) -> None:
        synchronize()


class _Within:
    """A context that changes nothing."""

    def __init__(self, *args: Any, **kwargs: Any) -> None: ...

    def __enter__(self) -> "_Within":
        return self

    def __exit__(self, *error: object) -> None: ...


class _Capture(_Within):
    def __init__(self, graph: Graph, **kwargs: Any) -> None:
        self.graph = graph

    def __enter__(self) -> "_Capture":
        self.graph.begin()
        Watch.capturing = self.graph
        return self

    def __exit__(self, *error: object) -> None:
        Watch.capturing = None
        self.graph.undo()


def synchronize(device: object = None) -> None:
    """What `torch.cuda.synchronize` is here."""
    if Watch.active is not None:
        Watch.active.note("wait", "synchronize")


def _copied(tensor: Tensor, memo: dict[int, Any]) -> Tensor:
    """A deep copy of a tensor that is no result of others; the device has no storages of Python."""
    if id(tensor) not in memo:
        memo[id(tensor)] = tensor.detach().clone().requires_grad_(tensor.requires_grad)
    return memo[id(tensor)]


def install() -> None:
    """Put the pretended device in the place of `torch.cuda`'s."""
    torch.backends.cuda.is_built = lambda: True
    parts: dict[str, Any] = {
        "_lazy_init": lambda: None, "is_available": lambda: True, "is_initialized": lambda: True,
        "is_current_stream_capturing": lambda: Watch.capturing is not None, "device_count": lambda: 1,
        "current_device": lambda: 0, "get_device_name": lambda *a: "a pretended GPU", "synchronize": synchronize,
        "get_rng_state": lambda *a: torch.get_rng_state(), "set_rng_state": lambda s, *a: torch.set_rng_state(s),
        "manual_seed": lambda seed: None, "manual_seed_all": lambda seed: None, "empty_cache": lambda: None,
        "memory_allocated": lambda *a: 0, "max_memory_allocated": lambda *a: 1, "Stream": _Stream,
        "reset_peak_memory_stats": lambda *a: None, "current_stream": lambda *a: _Stream(), "stream": _Within,
        "CUDAGraph": Graph, "graph": _Capture,
    }  # fmt: skip
    for name, part in parts.items():
        setattr(torch.cuda, name, part)
    by_storage = torch.Tensor.__deepcopy__
    torch.Tensor.__deepcopy__ = lambda self, memo: _copied(self, memo) if self.is_cuda else by_storage(self, memo)
    torch.Tensor.record_stream = lambda self, stream: None  # type: ignore[method-assign]
