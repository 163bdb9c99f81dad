"""The engine that replays a training step as one CUDA graph."""

import gc
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import torch
from torch import Tensor

from bench.data.batches import Batches, StackedBatches
from bench.errors import CaptureFailed, Impossible
from bench.train.trainer import ForwardPass, Trainer

WARM_UP = 3  # ordinary steps before a graph is captured, which allocate all memory and all state


class Gradient(Protocol):
    """The gradient that the graph records: a `Trainer`'s, or a compiled one's."""

    def gradient(self, x: Tensor) -> ForwardPass:
        """The gradients of one batch `x [B, X]`, left in `.grad`."""


class Graph:
    """A whole step as one CUDA graph. The indices of its images are copied to the device, and one launch does the rest,
    fetching and binarising included. Batches that are not chosen by indices are copied themselves.

    The first `WARM_UP` steps are ordinary steps of `executed`, on the stream that is captured next. Capturing changes
    no state, so the training is that of `eager`. A changing learning rate is a tensor on the device, written before
    each step.

    Args:
        trainer: holds all state.
        executed: computes the gradients.
    """

    def __init__(self, trainer: Trainer, executed: Gradient):
        self.trainer, self.executed = trainer, executed
        for group in trainer.groups():
            if "capturable" in group:
                group["capturable"] = True
        batches, device = trainer.batches, trainer.losses.device
        self.batches = batches if isinstance(batches, Batches | StackedBatches) else None
        self.rates = [torch.zeros((), device=device) for _ in trainer.groups()] if trainer.anneals else []
        self.fixed = [group["lr"] for group in trainer.groups()]
        streams = trainer.generators()
        self._gradient = _Captured(lambda x: executed.gradient(x).loss, streams)
        self.captured = _Captured(self._work, [*streams, *(self.batches.generators() if self.batches else [])])

    def gradient(self, x: Tensor) -> Tensor:
        return self._gradient(x)

    def step(self) -> None:
        given = self.batches.choose() if self.batches else next(self.trainer.batches)
        self.trainer.set_rates()
        for rate, group in zip(self.rates, self.trainer.groups(), strict=False):
            rate.fill_(group["lr"])
        self.trainer.note(self.captured(given))

    def _work(self, given: Tensor) -> Tensor:
        forward = self.executed.gradient(self.batches.fetch(given) if self.batches else given)
        with self._rates_on_device():
            self.trainer.move(forward)
        return forward.loss

    @contextmanager
    def _rates_on_device(self) -> Iterator[None]:
        """A context in which the optimisers read changing learning rates from the device; outside they are numbers."""
        groups, numbers = self.trainer.groups(), [group["lr"] for group in self.trainer.groups()]
        if not self.rates and numbers != self.fixed:
            raise Impossible("engine=graph would repeat one learning rate, and this one changes; set engine=eager.")
        for rate, group in zip(self.rates, groups, strict=False):
            group["lr"] = rate
        try:
            yield
        finally:
            for number, group in zip(numbers, groups, strict=True):
                group["lr"] = number


class _Captured:
    """A function of a tensor that is called `WARM_UP` times, then captured as a graph and replayed from then on.

    Args:
        work: the function.
        generators: the random generators that it uses in addition to PyTorch's own.
    """

    def __init__(self, work: Callable[[Tensor], Tensor], generators: list[torch.Generator]):
        self.work, self.generators, self.calls = work, generators, 0
        self.stream = torch.cuda.Stream()
        self.graph: torch.cuda.CUDAGraph | None = None

    def __call__(self, given: Tensor) -> Tensor:
        """The loss. The next call overwrites its memory.

        Raises:
            CaptureFailed: the device could not record the work.
        """
        if self.calls < WARM_UP:
            if not self.calls:
                gc.collect()  # an old graph of a parameter would bind its gradient to another stream
            self.calls += 1
            self.stream.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(self.stream), warnings.catch_warnings():
                warnings.filterwarnings("ignore", "This instance was constructed with capturable=True")
                loss = self.work(given).detach()
            torch.cuda.current_stream().wait_stream(self.stream)
            given.record_stream(self.stream)
            return loss
        if self.graph is None:
            self.graph = self._capture(given)
        self.given.copy_(given)
        self.graph.replay()
        return self.loss

    def _capture(self, given: Tensor) -> Any:
        self.given = given.clone()  # the graph reads its input here
        graph = torch.cuda.CUDAGraph()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # deprecated in later versions, which need none of it
            for generator in self.generators:  # the default generator registers itself
                graph.register_generator_state(generator)
        torch.cuda.synchronize()
        try:
            with torch.cuda.graph(graph, stream=self.stream):
                self.loss = self.work(self.given).detach()
        except RuntimeError as error:
            reason = str(error).splitlines()[0].rstrip(".") if str(error) else type(error).__name__
            raise CaptureFailed(
                f"The GPU could not record a training step as a graph ({reason}); engine=eager and engine=compile run."
            ) from error
        return graph
