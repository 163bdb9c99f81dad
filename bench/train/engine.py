"""How a training step is executed: as it is written, compiled, or as one CUDA graph. The numbers are the same to float
tolerance, and so is the noise."""

import gc
import time
import warnings
from collections.abc import Callable
from typing import Any, Protocol

import torch
from torch import Tensor

from bench.errors import Impossible
from bench.streams import own_stream
from bench.train.trainer import ForwardPass, Trainer

ENGINES = ("eager", "compile", "graph")
WARM_UP = 3  # steps that a graph takes before it is captured, so that all memory and all state is there
BACKEND = "inductor"


class Engine(Protocol):
    """What can be timed and trained with: a `Trainer` is the engine `eager` itself."""

    def gradient(self, x: Tensor) -> Any:
        """The gradients of one batch `x [B, X]`, left in `.grad`."""

    def step(self) -> None:
        """One training step: takes a batch, moves everything, counts it."""


def engine(trainer: Trainer, name: str) -> Engine:
    """Execute this trainer's steps by `eager`, `compile` or `graph`. All state stays in the trainer.

    Raises:
        Impossible: `graph` on the CPU. What a graph cannot record even on a GPU `bench.capture.obstacle` says.
    """
    match name:
        case "eager":
            return trainer
        case "compile":
            return Compiled(trainer)
        case "graph":
            if trainer.losses.device.type != "cuda":
                raise Impossible(
                    "engine=graph records CUDA graphs, and this is on the CPU; set engine=eager or compile."
                )
            return Graph(trainer)
    raise ValueError(f"There is no engine {name!r}; there are {', '.join(ENGINES)}.")


def prepare(executed: Engine, x: Tensor) -> float | None:
    """Compile, on a batch `x [B, X]` of whatever values, and say how many seconds it took; None where nothing is to be
    compiled. No state moves and no stream of noise."""
    if not isinstance(executed, Compiled):
        return None
    streams = executed.trainer.generators()
    states, start = [stream.get_state() for stream in streams], time.perf_counter()
    with own_stream(0, "compiling"):
        executed.gradient(x)
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


class Graph:
    """A whole step as one CUDA graph: a batch is copied in, and one launch does the rest.

    The first `WARM_UP` steps run as they are written, on the stream that is captured next; they are ordinary steps, and
    capturing moves nothing, so the training is that of `eager`.
    """

    def __init__(self, trainer: Trainer):
        self.trainer = trainer
        for optimiser in trainer.optimisers:
            for group in optimiser.param_groups:
                if "capturable" in group:
                    group["capturable"] = True
        self.rates = self._rates()
        self._gradient = _Captured(lambda x: trainer.gradient(x).loss, trainer.generators())
        self._step = _Captured(self._work, trainer.generators())

    def _rates(self) -> list[float]:
        return [group["lr"] for optimiser in self.trainer.optimisers for group in optimiser.param_groups]

    def _work(self, x: Tensor) -> Tensor:
        if self._rates() != self.rates:
            raise Impossible("engine=graph would repeat one learning rate, and this one changes; set engine=eager.")
        forward = self.trainer.gradient(x)
        self.trainer.advance(forward)
        return forward.loss

    def gradient(self, x: Tensor) -> Tensor:
        return self._gradient(x)

    def step(self) -> None:
        self.trainer.note(self._step(next(self.trainer.batches)))


class _Captured:
    """`work` of a batch, captured at the call after `WARM_UP` ordinary ones and replayed from then on."""

    def __init__(self, work: Callable[[Tensor], Tensor], generators: list[torch.Generator]):
        self.work, self.generators, self.calls = work, generators, 0
        self.stream = torch.cuda.Stream()
        self.graph: torch.cuda.CUDAGraph | None = None

    def __call__(self, x: Tensor) -> Tensor:
        """The loss; its memory is written again by the next call."""
        if self.calls < WARM_UP:
            if not self.calls:
                gc.collect()  # an old graph of a parameter would bind its gradient to another stream
            self.calls += 1
            self.stream.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(self.stream), warnings.catch_warnings():
                warnings.filterwarnings("ignore", "This instance was constructed with capturable=True")
                loss = self.work(x).detach()
            torch.cuda.current_stream().wait_stream(self.stream)
            x.record_stream(self.stream)
            return loss
        if self.graph is None:
            self._capture(x)
        self.x.copy_(x)
        assert self.graph is not None
        self.graph.replay()
        return self.loss

    def _capture(self, x: Tensor) -> None:
        self.x = x.clone()  # where every batch is copied to
        self.graph = torch.cuda.CUDAGraph()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # deprecated in later versions, which need none of it
            for generator in self.generators:  # the default generator registers itself
                self.graph.register_generator_state(generator)
        torch.cuda.synchronize()
        with torch.cuda.graph(self.graph, stream=self.stream):
            self.loss = self.work(self.x).detach()
