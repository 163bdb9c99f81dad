"""Policies over sequences of tokens, with random logits."""

import torch

from estimators import Sequence

SIZES = [(2, 1), (2, 2), (3, 2), (4, 1), (2, 4)]  # V, L


def policy(vocabulary: int, length: int, batch: tuple[int, ...] = (2,), seed: int = 0, scale: float = 1.0) -> Sequence:
    """In float64, for this batch shape; `scale` is the standard deviation of the logits."""
    generator = torch.Generator().manual_seed(seed)
    rows = sum(vocabulary**t for t in range(length))
    return Sequence(scale * torch.randn(*batch, rows, vocabulary, generator=generator, dtype=torch.float64))
