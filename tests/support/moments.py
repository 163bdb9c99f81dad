"""Sums of gradients, and their means written out."""

import numpy as np

from bench.measure.gradient.moments import BatchSums

GROUPS = 32


def sums(g: np.ndarray, reference: np.ndarray | None = None) -> BatchSums:
    """What `take` would have kept of the gradients `[R, P]` and of the reference's draws `[k, P]`, or `[P]`."""
    counts, squares, rows = kept(g, 0.3)
    if reference is None:
        return BatchSums(counts, squares, rows @ rows.T)
    their_counts, their_squares, theirs = kept(np.atleast_2d(reference), -0.2)
    both = np.concatenate([rows, theirs])
    return BatchSums(counts, squares, both @ both.T, their_counts, their_squares)


def kept(g: np.ndarray, shift: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Counts, sums of squares, and the sums by group with a constant that is not the mean."""
    constant, member = np.full(g.shape[1], shift), membership(len(g))
    rows = [(g - constant)[member == j].sum(0) for j in range(member[-1] + 1)]
    squares = [np.square(g - constant)[member == j].sum() for j in range(member[-1] + 1)]
    return np.bincount(member), np.array(squares), np.stack([*rows, constant])


def membership(draws: int) -> np.ndarray:
    return np.arange(draws) * min(GROUPS, draws) // draws


def means_of(gradients: list[np.ndarray]) -> np.ndarray:
    means = np.stack([g.mean(0) for g in gradients])
    return means @ means.T


def gradients(noise: np.random.Generator, batches: int, draws: int, size: int) -> list[np.ndarray]:
    mix = noise.normal(size=(size, size))
    return [noise.normal(size=size) + noise.normal(size=(draws, size)) @ mix for _ in range(batches)]
