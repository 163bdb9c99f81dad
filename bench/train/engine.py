"""How a training step is executed: as it is written, compiled, or as one CUDA graph of either. The numbers are the same
to float tolerance, and so is the noise."""

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
    """What can be timed and trained with: a `Trainer` is the engine `eager` itself."""

    def gradient(self, x: Tensor) -> Any:
        """The gradients of one batch `x [B, X]`, left in `.grad`."""

    def step(self) -> None:
        """One training step: takes a batch, moves everything, counts it."""


def engine(trainer: Trainer, name: str) -> Engine:
    """Execute this trainer's steps by one of ENGINES. All state stays in the trainer.

    Raises:
        Impossible: a graph on the CPU. What a graph cannot record even on a GPU `bench.train.capture.obstacle` says.
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
    """Compile, on a batch `x [B, X]` of whatever values, and say how many seconds it took; None where nothing is to be
    compiled. No state moves and no stream of noise."""
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
    """The forward pass, and through it the backward pass, by torch.compile; optimisers are fused kernels already.

    Noise is PyTorch's own and not the compiler's, so that every engine draws the same. What cannot be compiled runs
    as it is written.
    """

    def __init__(self, trainer: Trainer):
        self.trainer, self.compiled = trainer, False
        options: dict[str, Any] | None = {"fallback_random": True} if BACKEND == "inductor" else None
        with warnings.catch_warnings(action="ignore"):  # what the compiler says of itself
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
