"""Engines, which execute a training step: eager, compiled, or as one CUDA graph of either.

All draw the same noise, and their numbers agree to float tolerance.
"""

import time
import warnings
from collections.abc import Callable
from typing import Any, Protocol

import torch
from torch import Tensor

from bench.errors import Impossible
from bench.streams import own_stream
from bench.train.graph import Graph
from bench.train.trainer import ForwardPass, Trainer

ENGINES = ("eager", "compile", "graph", "compiled_graph")
GRAPHS = ("graph", "compiled_graph")
BACKEND = "inductor"


class Engine(Protocol):
    """An object that takes training steps and can be timed. A `Trainer` is itself the engine `eager`."""

    def gradient(self, x: Tensor) -> Any:
        """The gradients of one batch `x [B, X]`, left in `.grad`."""

    def step(self) -> None:
        """One training step: take a batch, update all parameters and state, count the step."""


def engine(trainer: Trainer, name: str) -> Engine:
    """The engine of this name, one of ENGINES, for a trainer, which keeps all state.

    Raises:
        Impossible: a graph is asked for on the CPU. `bench.train.capture.obstacle` finds what a graph cannot record.
    """
    if name in GRAPHS and trainer.losses.device.type != "cuda":
        raise Impossible(f"engine={name} records CUDA graphs, and this is on the CPU; set engine=eager or compile.")
    match name:
        case "eager":
            return trainer
        case "compile":
            return Compiled(trainer)
        case "graph":
            return Graph(trainer, trainer)
        case "compiled_graph":
            return Graph(trainer, Compiled(trainer))
    raise ValueError(f"There is no engine {name!r}; there are {', '.join(ENGINES)}.")


def prepare(executed: Engine, x: Tensor) -> float | None:
    """Compile an engine on a batch `x [B, X]`, whose values do not count. No state and no random stream moves.

    Returns:
        Seconds that compiling took; None for an engine that does not compile.
    """
    compiled = executed.executed if isinstance(executed, Graph) else executed
    if not isinstance(compiled, Compiled):
        return None
    streams = compiled.trainer.generators()
    states, start = [stream.get_state() for stream in streams], time.perf_counter()
    with own_stream(0, "compiling"):
        compiled.gradient(x)
    for stream, state in zip(streams, states, strict=True):
        stream.set_state(state)
    return time.perf_counter() - start


class Compiled:
    """The engine that compiles forward and backward pass by torch.compile. The optimisers are fused kernels already.

    The noise is PyTorch's own and not the compiler's, so that all engines draw the same. Code that cannot be compiled
    runs eagerly.
    """

    def __init__(self, trainer: Trainer):
        self.trainer, self.compiled = trainer, False
        options: dict[str, Any] | None = {"fallback_random": True} if BACKEND == "inductor" else None
        with warnings.catch_warnings(action="ignore"):  # the compiler's own warnings
            self._compute: Callable[..., ForwardPass] = torch.compile(trainer.compute, backend=BACKEND, options=options)

    def gradient(self, x: Tensor) -> ForwardPass:
        if self.compiled:
            return self.trainer.backward(self._compute(*self.trainer.inputs(x)))
        # The own parameters' backward pass runs through the graph a second time: its buffers must outlive the first.
        keep = torch._functorch.config.patch(donated_buffer=False)
        with keep, warnings.catch_warnings(action="ignore"):
            forward = self.trainer.backward(self._compute(*self.trainer.inputs(x)))
        self.compiled = True
        return forward

    def step(self) -> None:
        forward = self.gradient(next(self.trainer.batches))
        self.trainer.advance(forward)
        self.trainer.note(forward.loss.detach())
