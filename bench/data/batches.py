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
        return self.data.batch(self.choose(), self.generator)

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


class StackedBatches(Iterator[Tensor]):
    """Batches `x [R, B, X]`, row r being the next one of `each[r]`, whose stream moves.

    Where all replicas have the same images they are fetched at once, and only the noise is drawn one by one.
    """

    def __init__(self, each: Sequence[Iterator[Tensor]]):
        self.each = each
        streams = [batches for batches in each if isinstance(batches, Batches)]
        same = len(streams) == len(each) and all(batches.data is streams[0].data for batches in streams)
        self.streams = streams if same else []

    def __next__(self) -> Tensor:
        if not self.streams:
            return torch.stack([next(batches) for batches in self.each])
        data = self.streams[0].data
        x = data.train[torch.stack([batches.choose() for batches in self.streams])]
        if not data.noisy:
            return x
        u = torch.empty(x.shape, dtype=torch.float32, device=x.device)
        for row, batches in zip(u, self.streams, strict=True):
            torch.rand(row.shape, generator=batches.generator, out=row)
        return data.realised(x, u)
