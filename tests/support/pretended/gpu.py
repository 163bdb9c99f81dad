"""The pretended device as `torch.cuda` shows it; what a step there should not do is seen and noted."""

import ctypes
import os
import sys
import warnings
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

ctypes.CDLL(os.environ["PRETENDED_GPU"])  # before PyTorch, which asks for devices once

import torch  # noqa: E402
from torch import Tensor  # noqa: E402
from torch.utils._python_dispatch import TorchDispatchMode  # noqa: E402
from torch.utils._pytree import tree_leaves  # noqa: E402

from tests.support.pretended.graph import COPIES, Graph, is_kernel, waits  # noqa: E402
from tests.support.pretended.timing import Event, profiling  # noqa: E402

ROOT = str(Path(__file__).parents[3]) + os.sep
HERE = str(Path(__file__).parent)


class Seen(NamedTuple):
    """Something that a step on a GPU should not do."""

    kind: str  # wait | mix
    what: str  # the operator
    place: str  # in this project


class Watch(TorchDispatchMode):
    """Counts kernels by operator, and takes note of waits and of operators over both devices.

    Attributes:
        strict: whether a wait is an error, as in PyTorch's sync-debug mode.
        kernels: how often each operator ran on the device.
        seen: every wait and every mix.
    """

    active: "Watch | None" = None
    capturing: "Graph | None" = None

    def __init__(self, strict: bool = False) -> None:
        super().__init__()
        self.strict = strict
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
        if self.strict and kind == "wait":
            raise RuntimeError(f"called a synchronizing CUDA operation ({what} at {place()})")

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
        self.graph, self.own = graph, ExitStack()

    def __enter__(self) -> "_Capture":
        if Watch.active is None:  # which writes the tape
            self.own.enter_context(Watch())
        self.graph.begin()
        Watch.capturing = self.graph
        return self

    def __exit__(self, *error: object) -> None:
        Watch.capturing = None
        self.own.close()
        self.graph.undo()


def set_sync_debug_mode(mode: str) -> None:
    """What `torch.cuda.set_sync_debug_mode` is here, of "error" and "default"."""
    warnings.warn("Synchronization debug mode is a prototype feature and does not yet detect all", stacklevel=2)
    if mode == "error":
        Watch(strict=True).__enter__()
    elif Watch.active is not None:
        Watch.active.__exit__(None, None, None)


def synchronize(device: object = None) -> None:
    """What `torch.cuda.synchronize` is here."""
    if Watch.active is not None:
        Watch.active.note("wait", "synchronize")


def _copied(tensor: Tensor, memo: dict[int, Any]) -> Tensor:
    """A deep copy of a tensor that is no result of others; the device has no storages of Python."""
    if id(tensor) not in memo:
        memo[id(tensor)] = tensor.detach().clone().requires_grad_(tensor.requires_grad)
    return memo[id(tensor)]


def _on_host(storage: torch.UntypedStorage) -> torch.UntypedStorage:
    """A copy of the device's memory, as it is saved."""
    memory = (ctypes.c_byte * storage.nbytes()).from_address(storage.data_ptr()) if storage.nbytes() else b""
    return torch.frombuffer(bytearray(memory), dtype=torch.uint8).untyped_storage() if memory else storage


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
        "mem_get_info": lambda *a: (2**36, 2**36),
        "CUDAGraph": Graph, "Event": Event, "graph": _Capture, "set_sync_debug_mode": set_sync_debug_mode,
    }  # fmt: skip
    for name, part in parts.items():
        setattr(torch.cuda, name, part)
    of_host = torch.UntypedStorage.cpu
    torch.UntypedStorage.cpu = lambda self: _on_host(self) if self.device.type == "cuda" else of_host(self)  # type: ignore[method-assign]
    torch.profiler.profile = profiling(Watch, torch.profiler.profile)  # type: ignore[misc]
    by_storage = torch.Tensor.__deepcopy__
    torch.Tensor.__deepcopy__ = lambda self, memo: _copied(self, memo) if self.is_cuda else by_storage(self, memo)
    torch.Tensor.record_stream = lambda self, stream: None  # type: ignore[method-assign]
