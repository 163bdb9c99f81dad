"""Randomised quasi-Monte Carlo: noise that fills its space evenly, which gives means with far smaller errors.

The replicas form groups. The noise of a group is a scrambled Sobol net with a random shift of its own. Every replica's
noise keeps its distribution, so expectations do not change. The groups are independent, so their spread gives the
standard error. A. B. Owen, Monte Carlo, Quasi-Monte Carlo, and Randomized Quasi-Monte Carlo, 2000.
"""

import math
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.quasirandom import SobolEngine
from torch.utils._python_dispatch import TorchDispatchMode

from bench.check.noise import Tape, axis_of

GROUPS = 32
MOST_EVEN = 256  # numbers of a replica's noise that are spread evenly; the others stay independent
COUNTED = 23  # replicas with which the random numbers are counted; a length that no other axis has

EDGE = 1e-12


def _uniform(u: Tensor, low: float = 0, high: float = 1) -> Tensor:
    return low + (high - low) * u


def _normal(u: Tensor, mean: Tensor | float = 0, std: Tensor | float = 1) -> Tensor:
    return mean + std * torch.special.ndtri(u)


def _exponential(u: Tensor, rate: float = 1) -> Tensor:
    return -torch.log1p(-u) / rate


LAWS: dict[str, tuple[Callable[..., Tensor], slice]] = {  # and where its parameters stand among the arguments
    "rand": (_uniform, slice(0)),
    "rand_like": (_uniform, slice(0)),
    "uniform_": (_uniform, slice(1, 3)),
    "randn": (_normal, slice(0)),
    "randn_like": (_normal, slice(0)),
    "normal": (_normal, slice(0, 2)),
    "normal_": (_normal, slice(1, 3)),
    "exponential_": (_exponential, slice(1, 2)),
}
SIZED = (torch.ops.aten.rand.default, torch.ops.aten.randn.default)  # called with a size alone
EMPTY = torch.ops.aten.empty.memory_format


class Quasi(TorchDispatchMode):
    """A context in which the noise of replicas is replaced by evenly spread noise.

    Args:
        groups: independent groups of replicas.
        size: replicas of a group. A random tensor has an axis of all replicas.
        dimensions: random numbers per replica that are replaced; those drawn later stay as they are.
        seed: of the first group's random shift; the others' follow it.
        among: the replicas that are drawn inside, of all `groups * size`; by default all.
        before: points of each group's net that earlier replicas took.
    """

    def __init__(self, groups: int, size: int, dimensions: int, seed: int, among: slice = slice(None), before: int = 0):
        super().__init__()
        net, number = _net(before, size, dimensions), torch.arange(groups * size)[among]
        shift = torch.stack([_shift(dimensions, seed + group) for group in range(groups)])
        self.replicas, self.used = len(number), 0
        points = net[number % size] + shift[number // size]
        self.points = (points - points.floor()).clamp(EDGE, 1 - EDGE)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        law = LAWS.get(func.overloadpacket.__name__) if torch.Tag.nondeterministic_seeded in func.tags else None
        blank = self._blank(func, args, kwargs or {}) if law else None
        if law and blank is not None and self._fill(blank, law, args):
            return blank
        out = func(*args, **(kwargs or {}))
        if law and blank is None:
            self._fill(out, law, args)
        return out

    def _blank(self, func: Any, args: Any, kwargs: dict[str, Any]) -> Tensor | None:
        """The tensor that `func` would fill, without the time that its own numbers take; None of some forms."""
        if func.overloadpacket.__name__.endswith("_"):
            return args[0]
        return EMPTY(*args, **kwargs) if func in SIZED else None

    def _fill(self, out: Tensor, law: tuple[Callable[..., Tensor], slice], args: Sequence[Any]) -> bool:
        """Whether even noise was put into `out`, which has R replicas along an axis. The law's parameters broadcast
        with it."""
        axis = axis_of(out, self.replicas)
        if axis is None:
            return False
        shape = out.movedim(axis, 0).shape
        count = shape[1:].numel()
        points = self.points[:, self.used : self.used + count]
        if points.shape[1] != count:
            return False
        values, parameters = law
        out.copy_(values(points.view(shape).movedim(0, axis), *args[parameters]))
        self.used += count
        return True


def dimensions(call: Callable[[int], object]) -> tuple[int, int]:
    """How many random numbers `call(replicas)` draws for each replica, at most `MOST_EVEN`, and how many elements of
    the largest tensor belong to each."""
    with torch.random.fork_rng([]), Tape() as tape:
        call(COUNTED)
    drawn = sum(n.numel() // COUNTED for n in tape.noise if axis_of(n, COUNTED) is not None)
    return min(MOST_EVEN, drawn), math.ceil(tape.largest / COUNTED)


def of_groups(values: Tensor, groups: int) -> Tensor:
    """Means `[G, ...]` over the replicas of each group of `values [R, ...]`."""
    return values.view(groups, -1, *values.shape[1:]).mean(1)


def _shift(dimensions: int, seed: int) -> Tensor:
    return torch.rand(dimensions, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@cache
def _net(before: int, size: int, dimensions: int) -> Tensor:
    """Points `[size, dimensions]` of a net, whose first `before` points are left out."""
    if not dimensions:
        return torch.empty(size, 0, dtype=torch.float64)
    engine = SobolEngine(dimensions, scramble=True, seed=dimensions)
    return (engine.fast_forward(before) if before else engine).draw(size, dtype=torch.float64)
