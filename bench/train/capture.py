"""Detection of what a CUDA graph cannot record in a training step. No GPU is needed: the step runs on meta tensors."""

import copy
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from bench.train.snapshot import Snapshot
from bench.train.trainer import Trainer

COPIES = (torch.ops.aten._to_copy.default, torch.ops.aten.copy_.default)
META = torch.device("meta")
WAITING = tuple(  # functions at which the host waits for a status or a size; meta tensors do not show the wait
    getattr(torch.linalg, name) for name in ("eigh", "eig", "eigvals", "eigvalsh", "svd", "svdvals", "inv", "solve",
    "cholesky", "lstsq", "qr", "det", "slogdet", "pinv", "matrix_rank", "lu_factor")
) + tuple(
    getattr(where, name) for where in (torch, torch.Tensor) for name in ("multinomial", "inverse", "cholesky", "det",
    "nonzero", "masked_select", "unique", "unique_consecutive", "bincount", "histc", "equal", "svd", "pinverse")
)  # fmt: skip
MAKING = (torch.tensor, torch.as_tensor, torch.asarray, torch.Tensor.new_tensor)  # they make tensors of host values
INDEXING = (torch.Tensor.__getitem__, torch.Tensor.__setitem__)


def obstacle(trainer: Trainer, x: Tensor) -> str | None:
    """The part of this trainer's steps that a graph cannot record, as words that follow "cannot record"; or None.

    A graph repeats the device's work. So the host must not wait for a value or send one, and all state must be tensors
    that are written in place. The trainer does not change, and no random number is drawn.

    Args:
        trainer: its model and estimator must have no uninitialised lazy layer.
        x: `[B, X]`, a batch as in training; only its shape counts.
    """
    if trainer.config["optimiser"] == "radam":  # 1 - beta^t in float32 shifts the first rectified step
        return "train.optimiser=radam, whose rectification on the device need not begin at the step where eager's does"
    if trainer.config["optimiser"] == "nadam":  # its product of momenta is float32 there
        return "train.optimiser=nadam, whose momenta on the device are rounded otherwise than eager's"
    twin = copy.deepcopy(trainer, {id(trainer.batches): iter(()), id(trainer.losses): trainer.losses})
    for module in (twin.model, twin.estimator):
        module.to(META)
    twin.learned, twin.tuned = _learned(twin.model), _learned(twin.estimator)
    twin.optimisers, name, on_meta = [], trainer.estimator.name, x.to(META)
    try:
        twin.gradient(on_meta)  # a tensor that is sent once is sent before the capture
        with _Watch() as watch, _Asked() as asked:
            forward = twin.gradient(on_meta)
            before = Snapshot(twin.estimator)
            twin.update(forward)
    except (RuntimeError, NotImplementedError) as error:
        return f"a step of {name}, which needs the value of a tensor on the host ({_first_line(error)})"
    if asked.waiting:
        return f"a step of {name}, which waits for the device ({asked.waiting})"
    if watch.sent or asked.sent:
        return f"a step of {name}, which sends a tensor from the host to the device ({watch.sent or asked.sent})"
    if moved := before.changed(Snapshot(twin.estimator)):
        return f"a step of {name}, whose state {moved[0]} is not a buffer that is written in place"
    return None


def _learned(module: nn.Module) -> list[nn.Parameter]:
    return [p for p in module.parameters() if p.requires_grad]


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0].rstrip(".") if str(error) else type(error).__name__


class _Watch(TorchDispatchMode):
    """Records the first operator that reads a tensor of the host."""

    def __init__(self) -> None:
        super().__init__()
        self.sent = ""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        made = isinstance(out, Tensor) and out.device == META
        host = [a for a in tree_leaves((args, kwargs)) if isinstance(a, Tensor) and a.device != META]
        sent = any(a.ndim or func in COPIES for a in host)  # a single number may be a kernel's argument
        if made and (sent or func is torch.ops.aten.lift_fresh.default) and not self.sent:
            self.sent = str(func)
        return out


class _Asked(TorchFunctionMode):
    """Records the first function that waits for the device or sends a tensor to it, where `_Watch` cannot see it."""

    def __init__(self) -> None:
        super().__init__()
        self.sent = self.waiting = ""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        given = [a for a in tree_leaves((args, kwargs)) if isinstance(a, Tensor)]
        there = any(a.device == META for a in given)
        name = getattr(func, "__name__", str(func))
        if there and func in WAITING:
            self.waiting = self.waiting or name
        made = func in MAKING and isinstance(out, Tensor) and out.device == META
        host = func is torch.where and there and any(a.device != META for a in given)
        listed = func in INDEXING and there and _listed(args[1])
        if made or host or listed:
            self.sent = self.sent or name
        return out


def _listed(index: object) -> bool:
    """Whether an index names rows by a list or by a tensor of the host."""
    parts = index if isinstance(index, tuple) else (index,)
    return any(isinstance(p, list) or (isinstance(p, Tensor) and p.device != META and p.ndim > 0) for p in parts)
