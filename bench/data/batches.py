"""Training batches without end, drawn and binarised by a stream of their own that can be stopped and continued."""

from collections.abc import Iterator, Sequence
from typing import TypedDict

import torch
from torch import Tensor

from bench.data.datasets import Data, check_batch_size
from bench.errors import DataError
from bench.streams import generator


class BatchesState(TypedDict):
    """Where a stream of batches stands."""

    generator: Tensor
    order: Tensor  # [N]
    start: int


class Batches(Iterator[Tensor]):
    """Endless training batches `x [batch_size, X]`, in a new random order every epoch, dynamically binarised.

    All batches have the same size: the N mod batch_size images at the end of each epoch's order are left out of that
    epoch. Nothing waits for the device. `state_dict` and `load_state_dict` continue the stream bit for bit.

    Raises:
        DataError: batch_size is not in 1..N.
    """

    def __init__(self, data: Data, batch_size: int, seed: int, purpose: str = "training"):
        check_batch_size(data, batch_size)
        self.data = data
        self.batch_size = batch_size
        self.generator = generator(seed, f"batches of {purpose}", data.train.device)
        self.order = self._shuffle()  # [N]
        self.start = 0  # of the next batch in `order`

    def __next__(self) -> Tensor:
        return self.fetch(self.choose())

    def fetch(self, chosen: Tensor) -> Tensor:
        """Images `[batch_size, X]` of these numbers: all of it work of the device, which a CUDA graph repeats."""
        return self.data.batch(chosen, self.generator)

    def generators(self) -> list[torch.Generator]:
        """Of the noise that `fetch` draws."""
        return [self.generator]

    def choose(self) -> Tensor:
        """The numbers `[batch_size]` of the next images."""
        if self.start + self.batch_size > len(self.order):
            self.order, self.start = self._shuffle(), 0
        chosen = self.order[self.start : self.start + self.batch_size]
        self.start += self.batch_size
        return chosen

    def _shuffle(self) -> Tensor:
        return torch.randperm(len(self.data.train), generator=self.generator, device=self.generator.device)

    def state_dict(self) -> BatchesState:
        """Where the stream stands."""
        return {"generator": self.generator.get_state(), "order": self.order, "start": self.start}

    def load_state_dict(self, state: BatchesState) -> None:
        """Continue from a `state_dict` taken over the same data. DataError if it holds another number of images."""
        if len(state["order"]) != len(self.order):
            raise DataError(
                f"The state is of batches over {len(state['order'])} images, and these are over {len(self.order)}; "
                "resume with the same data and train_size."
            )
        self.generator.set_state(state["generator"].cpu())
        self.order = state["order"].to(self.order.device)
        self.start = state["start"]


def side_by_side(each: Sequence[Iterator[Tensor]]) -> Iterator[Tensor]:
    """Batches `x [R, B, X]`, row r being the next one of `each[r]`."""
    streams = [batches for batches in each if isinstance(batches, Batches)]
    return StackedBatches(streams) if len(streams) == len(each) else map(torch.stack, zip(*each, strict=True))


class StackedBatches(Iterator[Tensor]):
    """Batches `x [R, B, X]`, row r being the next one of `each[r]`, whose stream moves.

    Where all replicas have the same images they are fetched at once, and only the noise is drawn one by one.
    """

    def __init__(self, each: Sequence[Batches]):
        self.each = each
        self.data = each[0].data if all(batches.data is each[0].data for batches in each) else None

    def __next__(self) -> Tensor:
        return self.fetch(self.choose())

    def choose(self) -> Tensor:
        """The numbers `[R, B]` of the next images."""
        return torch.stack([batches.choose() for batches in self.each])

    def fetch(self, chosen: Tensor) -> Tensor:
        """Images `[R, B, X]` of these numbers."""
        if self.data is None:
            return torch.stack([batches.fetch(row) for batches, row in zip(self.each, chosen, strict=True)])
        x = self.data.train[chosen]
        if not self.data.noisy:
            return x
        u = torch.empty(x.shape, dtype=torch.float32, device=x.device)
        for row, batches in zip(u, self.each, strict=True):
            torch.rand(row.shape, generator=batches.generator, out=row)
        return self.data.realised(x, u)

    def generators(self) -> list[torch.Generator]:
        """Of the noise that `fetch` draws."""
        return [batches.generator for batches in self.each]
