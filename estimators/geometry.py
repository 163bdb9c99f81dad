"""Directions of vectors."""

import torch
from torch import Tensor


def unit(vectors: Tensor) -> Tensor:
    """Vectors `[..., d]` of length 1 in the same directions, without gradient; those of length 0 stay 0."""
    vectors = vectors.detach()
    length = torch.linalg.vector_norm(vectors, dim=-1, keepdim=True)
    return vectors / torch.where(length > 0, length, torch.inf)
