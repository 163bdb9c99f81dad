"""The batches of all replicas at once, each from its own stream."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from bench.batches import Batches


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
        if data.binarisation != "dynamic":
            return x
        u = torch.empty(x.shape, dtype=torch.float32, device=x.device)
        for row, batches in zip(u, self.streams, strict=True):
            torch.rand(row.shape, generator=batches.generator, out=row)
        return (u < x.float()).to(x.dtype)
