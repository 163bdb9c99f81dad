"""Noise of replicas: each draws from its own stream, so that it gets the same noise as a single run of its seed."""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode


class Draw(NamedTuple):
    """One random tensor that a step draws."""

    fill: Callable[[Tensor, torch.Generator], object]  # writes the noise into a tensor
    like: Tensor  # has the noise's shape, dtype and device; its values do not count


def _rand(out: Tensor, stream: torch.Generator) -> None:
    torch.rand(out.shape, generator=stream, out=out)


def _randn(out: Tensor, stream: torch.Generator) -> None:
    torch.randn(out.shape, generator=stream, out=out)


def _exponential(out: Tensor, stream: torch.Generator) -> None:
    out.exponential_(generator=stream)


def _randint(high: int) -> Callable[[Tensor, torch.Generator], None]:
    def fill(out: Tensor, stream: torch.Generator) -> None:
        torch.randint(high, out.shape, generator=stream, out=out)

    return fill


FILLS: dict[
    Any, Callable[[tuple[Any, ...]], Callable[[Tensor, torch.Generator], object]]
] = {  # by the arguments of the call
    torch.rand: lambda args: _rand,
    torch.randn: lambda args: _randn,
    torch.Tensor.exponential_: lambda args: _exponential,
    torch.randint: lambda args: _randint(args[0]),
}


class Recorded(TorchFunctionMode):
    """A context that records every random tensor drawn."""

    def __init__(self) -> None:
        super().__init__()
        self.draws: list[Draw] = []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        if func in FILLS:
            self.draws.append(Draw(FILLS[func](args), torch.empty_like(out, memory_format=torch.contiguous_format)))
        return out


class Replayed(TorchFunctionMode):
    """A context that returns the tensors `noise` in place of random ones. It also makes a linear layer of many axes
    one matrix product per replica, where vmap would copy the weights for each sample."""

    def __init__(self, noise: list[Tensor]):
        super().__init__()
        self.noise, self.next = noise, 0

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in FILLS:
            self.next += 1
            return self.noise[self.next - 1]
        if func is F.linear and args[0].ndim > 2:
            return torch.unflatten(func(args[0].flatten(0, -2), *args[1:], **(kwargs or {})), 0, args[0].shape[:-1])
        return func(*args, **(kwargs or {}))


def drawn(draws: list[Draw], streams: list[torch.Generator]) -> list[Tensor]:
    """The noise `[R, ...]` of one step. Row r comes from stream r, in the order in which a single run draws it."""
    noise = [torch.empty(len(streams), *draw.like.shape, dtype=draw.like.dtype, device=draw.like.device)
             for draw in draws]  # fmt: skip
    for row, stream in enumerate(streams):
        for draw, values in zip(draws, noise, strict=True):
            draw.fill(values[row], stream)
    return noise
