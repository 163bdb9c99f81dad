"""Differences of a mean from what it should be, in standard errors and relative to the gradient."""

from typing import NamedTuple

from torch import Tensor

from bench.check.subject import Case

BOUND = 5.0  # standard errors that a difference must exceed to count


class Deviation(NamedTuple):
    """A difference in standard errors, or in absolute numbers where both sides are exact."""

    found: bool
    number: str


def relative(case: Case, vector: Tensor, gradient: Tensor) -> tuple[float, float]:
    """The norms of the parts of q and of the decoder in `vector` [P], each relative to that part of `gradient` [P]."""
    size = case.problem.q.params[0].numel()
    return tuple(float(vector[p].norm() / gradient[p].norm()) for p in (slice(size), slice(size, None)))  # type: ignore


def visible(case: Case, error: Tensor, gradient: Tensor) -> float:
    """The smallest bias that a test shows, relative to the gradient: the larger one of the parts of q and decoder."""
    return BOUND * max(relative(case, error, gradient))


def deviation(difference: Tensor, error: Tensor, scale: Tensor) -> Deviation:
    """Whether any coordinate of a difference exceeds `BOUND` standard errors plus the rounding of `scale`."""
    rounding = 1e-8 * (1 + scale.abs().max())
    found = bool(((difference.abs() > BOUND * error + rounding) | difference.isnan()).any())
    random = error > rounding
    if not random.any():
        return Deviation(found, f"error {difference.abs().max():.1e}")
    return Deviation(found, f"|z| {(difference.abs() / error.clamp(min=1e-30))[random].max():.1f}")
