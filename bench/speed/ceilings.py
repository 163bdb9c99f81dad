"""What no way of computing gradient draws can go below: the matrix products, and the bytes that must move.

The floor of some draws is the measured time of their matrix products alone: the decoder once per cost evaluation and
draw, backwards to z where the estimator asks for that, the encoder's layers backwards, and for each layer of the
encoder the n x n products of its squared norm, or the gradient where that is cheaper. With the decoder measured, each
of its layers backwards, and its gradients. The memory floor counts every layer's output and each cotangent as written
once and read once, at the measured speed of a copy; it binds where nothing stays in a cache.
"""

from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

import torch
from torch import Tensor, nn

from bench.measure.clock import Rounds, clock_of, interleaved
from bench.measure.clock import Work as Timed
from bench.measure.gradient.layers import gram_pays
from bench.measure.timing import evaluations
from bench.model.objective import Objective
from bench.model.vae import VAE

TOGETHER = 16  # draws whose products are timed at once
COPIED = 2**28  # bytes
CALLS, BLOCK = 50, 0.02  # of a product between two events of a GPU, and seconds, at the least


class Product(NamedTuple):
    """`[rows, inner] @ [inner, columns]`, for one draw or for all."""

    rows: int
    inner: int
    columns: int
    shared: bool  # the right factor is the same for all draws, whose rows are stacked

    @property
    def flops(self) -> int:
        return 2 * self.rows * self.inner * self.columns


class Work(NamedTuple):
    """The least that draws of an objective's gradient need."""

    once: list[Product]
    per_draw: list[Product]
    bytes_per_draw: int

    def flops(self, draws: int) -> int:
        return sum(p.flops for p in self.once) + draws * sum(p.flops for p in self.per_draw)

    def seconds(self, draws: int, device: torch.device) -> float:
        """The floor: all products at their measured rates."""
        together = min(draws, TOGETHER)
        each = sum(_seconds(p, together, device) for p in self.per_draw) / together
        return sum(_seconds(p, 1, device) for p in self.once) + draws * each

    def memory_seconds(self, draws: int, device: torch.device) -> float:
        return draws * self.bytes_per_draw / bandwidth(device)


def work(objective: Objective, x: Tensor, decoder: bool) -> Work:
    """What `take(objective, x, draws, decoder=decoder)` cannot do without."""
    q, model, batch = objective.model.encode(x), objective.model, len(x)
    forward, backward = evaluations(objective, q, x)
    per_draw: list[Product] = []
    values = 2 * q.params.numel()  # cotangents of q.params and their pull, at the least
    for i, (rows, inner, columns) in enumerate(_generative(objective, batch)):
        per_draw.append(Product(forward * rows, inner, columns, True))
        if backward or (decoder and i):
            per_draw.append(Product((backward or forward) * rows, columns, inner, True))
        if decoder:
            per_draw.append(Product(inner, forward * rows, columns, False))
        values += (forward + (forward if decoder else backward)) * rows * columns
    once = []
    for i, layer in enumerate(_linear(model.get_submodule("encoder"))):
        inner, columns = layer.in_features, layer.out_features
        once.append(Product(batch, inner, columns, True))
        per_draw += [Product(batch, columns, inner, True)] if i else []
        pays = gram_pays(x.new_empty(batch, inner), x.new_empty(batch, columns))
        per_draw.append(Product(batch, columns, batch, False) if pays else Product(inner, batch, columns, False))
    return Work(once, per_draw, 2 * values * x.element_size())


def _linear(module: nn.Module) -> list[nn.Linear]:
    return [m for m in module.modules() if isinstance(m, nn.Linear)]


def _generative(objective: Objective, batch: int) -> Iterator[tuple[int, int, int]]:
    """(rows per cost evaluation, in, out) of each linear map between z and the pixels."""
    assert isinstance(objective.model, VAE)
    codebook = objective.model.codebook
    if codebook is not None:
        codes, width = codebook.codes.shape
        yield batch * objective.model.latent["positions"], codes, width
    for layer in _linear(objective.model.decoder):
        yield batch, layer.in_features, layer.out_features


@cache
def _seconds(product: Product, together: int, device: torch.device) -> float:
    """Median seconds of a product for `together` draws."""
    if product.shared:
        a = torch.randn(together * product.rows, product.inner, device=device)
        b = torch.randn(product.inner, product.columns, device=device)
        multiply, out = torch.mm, a.new_empty(len(a), product.columns)
    else:
        a = torch.randn(together, product.rows, product.inner, device=device)
        b = torch.randn(together, product.inner, product.columns, device=device)
        multiply, out = torch.bmm, a.new_empty(together, product.rows, product.columns)
    return seconds_alone(lambda: multiply(a, b, out=out), device)


@cache
def bandwidth(device: torch.device) -> float:
    """Bytes per second of a copy from and to memory, both counted."""
    source = torch.ones(COPIED // 4, device=device)
    target = torch.empty_like(source)
    return 2 * COPIED / seconds_alone(lambda: target.copy_(source), device)


def seconds_alone(work: Timed, device: torch.device) -> float:
    """Seconds of one call, of many between two looks at the clock: on a GPU, one look a call would be most of it."""
    rounds = Rounds(most=9, block=BLOCK, calls=CALLS if device.type == "cuda" else 1)
    return interleaved({"": work}, clock_of(device), rounds)[""].seconds
