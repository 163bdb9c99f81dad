"""Control of the noise of an estimator: it is recorded and replayed, counted, enumerated or integrated.

Recording intercepts PyTorch's own random operations, so it works for any latent family and any method.
"""

import sys
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from estimators import Enumerable, Latent


class Mismatch(Exception):
    """The recorded noise does not have the shape of the noise that is drawn now."""


class Tape(TorchDispatchMode):
    """Records every random tensor in the order drawn. Given `noise`, it replays that: it overwrites what is drawn.

    Attributes:
        noise: the tensors drawn.
        largest: the number of elements of the largest tensor that was computed.
        foreign: whether any was drawn outside the methods of a latent distribution.

    Raises:
        Mismatch: the noise to replay has run out or has another shape.
    """

    def __init__(self, noise: list[Tensor] | None = None):
        super().__init__()
        self.given = None if noise is None else iter(noise)
        self.noise: list[Tensor] = []
        self.foreign, self.largest = False, 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        if isinstance(out, Tensor):
            self.largest = max(self.largest, out.numel())
        if torch.Tag.nondeterministic_seeded in func.tags and isinstance(out, Tensor):
            self.foreign |= not _inside_latent()
            if self.given is not None:
                given = next(self.given, None)
                if given is None or given.shape != out.shape:
                    raise Mismatch(f"noise of shape {list(out.shape)} is drawn where other noise was recorded")
                out.copy_(given)
            self.noise.append(out.clone())
        return out


def _inside_latent() -> bool:
    frame = sys._getframe(2)
    while frame is not None:
        if isinstance(frame.f_locals.get("self"), Latent):
            return True
        frame = frame.f_back  # type: ignore[assignment]
    return False


def axis_of(noise: Tensor, length: int) -> int | None:
    """The axis of this length, or None. Axis 1 is tried first, since axis 0 often holds the samples."""
    found = [a for a in (1, 0, *range(2, noise.ndim)) if a < noise.ndim and noise.shape[a] == length]
    return found[0] if found else None


def shares(noise: list[Tensor], length: int, index: int, what: str, keep: bool) -> list[Tensor]:
    """The part of the noise that belongs to one replica (or example).

    Args:
        noise: tensors drawn for all replicas at once, `[K, R, ...]` or `[R, ...]`.
        length: R, the number of replicas.
        index: of the replica.
        what: "replicas" or "examples", for the error.
        keep: keep the axis of replicas, with length 1.

    Raises:
        Mismatch: a tensor has no axis of this length, so the replicas share it.
    """
    found = []
    for drawn in noise:
        axis = axis_of(drawn, length)
        if axis is None:
            raise Mismatch(f"noise of shape {list(drawn.shape)} has no axis of {length} {what}: they share it")
        found.append(drawn.narrow(axis, index, 1) if keep else drawn.select(axis, index))
    return found


class Points(NamedTuple):
    """All J joint outcomes of the noise of one example: q as replicas `[J, 1]`, one for each outcome, and the outcomes'
    probabilities (quadrature weights, if Gaussian)."""

    q: Latent
    weights: Tensor  # [J]


def draws_of(call: Callable[[Latent], object], q: Latent) -> tuple[int, int] | None:
    """How many draws `call` takes from `q.sample` (`q.normal` of a Gaussian), and how many elements the largest tensor
    has that it computes; None if it has any other noise."""
    taken: list[int] = []

    def take(self: Latent, k: int) -> Tensor:
        taken.append(k)
        return drawn.expand(k, *[-1] * drawn.ndim)

    drawn = (q.sample(1) if isinstance(q, Enumerable) else q.normal(1))[0]  # type: ignore[attr-defined]
    with Tape() as tape, torch.random.fork_rng([]):
        try:
            call(_with_draws(q, take))
        except _OtherLaw:
            return None
    return None if tape.noise else (sum(taken), tape.largest)


def points(q: Latent, draws: int, nodes: int, start: int = 0, stop: int | None = None) -> Points:
    """The joint outcomes from `start` to `stop`, by default all, of `draws` draws for `q` of one example `[1]`.

    For a Gaussian, every normal number has `nodes` Gauss-Hermite nodes in place of outcomes.
    """
    among = slice(start, stop)
    noise: Tensor | tuple[()] = ()
    weights = q.params.new_ones(1)
    if not draws:
        pass
    elif isinstance(q, Enumerable):
        states = q.enumerate()  # [S, 1, *]
        index = _joint(q.states, draws, among, q.params.device)  # [J, draws]
        noise = states.squeeze(1)[index].movedim(1, 0).unsqueeze(2)  # [draws, J, 1, *]
        weights = q.log_prob(noise).detach().sum(0).squeeze(-1).exp()
    else:
        node, weight = (torch.from_numpy(a).to(q.params) for a in np.polynomial.hermite_e.hermegauss(nodes))
        size = q.params.shape[-1] // 2
        index = _joint(nodes, draws * size, among, q.params.device)
        noise = node[index].view(-1, draws, 1, size).movedim(1, 0)
        weights = (weight / weight.sum())[index].prod(-1)
    turn = iter(noise)

    def take(self: Latent, k: int) -> Tensor:
        return torch.stack([next(turn) for _ in range(k)])

    outcomes = _with_draws(q, take)
    params = q.params.detach().expand(len(weights), *q.params.shape).clone()
    return Points(outcomes.with_params(params), weights)


class _OtherLaw(Exception):
    """Samples are drawn from a distribution with parameters other than q's, whose probabilities are unknown here."""


def _with_draws(q: Latent, take: Callable[[Latent, int], Tensor]) -> Latent:
    """A copy of q that draws its noise from `take`, also after `with_params`."""
    original = q.params.detach()

    def sample(self: Latent, k: int) -> Tensor:
        if not bool((self.params.detach() == original).all()):
            raise _OtherLaw
        return take(self, k)

    method = {"sample": sample} if isinstance(q, Enumerable) else {"normal": take}
    made: Latent = object.__new__(type(type(q).__name__, (type(q),), method))
    made.__dict__.update(q.__dict__)
    return made


def _joint(values: int, slots: int, among: slice, device: torch.device) -> Tensor:
    """Assignments of `values` values to `slots` slots `[J, slots]`: those `among` all, of which there are
    `values ** slots`."""
    index = torch.arange(values**slots, device=device)[among]
    return index[:, None] // values ** torch.arange(slots, device=device) % values
