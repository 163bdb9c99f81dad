"""What a cost becomes when one coordinate of a sample takes another value, for every coordinate in turn."""

from collections.abc import Callable

import torch
from torch import Tensor

from estimators.base import Cost
from estimators.chunks import at_once
from estimators.latents import Latent


def substituted(
    q: Latent, cost: Cost, x: Tensor, z: Tensor, alternative: Callable[[Tensor], Tensor], alternatives: int
) -> Tensor:
    """Costs `[A, D, K, ..., B]`, without gradient, of z with coordinate d set to its a-th alternative.

    The A D points of each sample are taken in chunks, so memory is that of one chunk.

    Args:
        q: says which axis of z counts coordinates.
        cost: of points.
        x: `[B, X]` data; only its size is used.
        z: `[K, ..., B, D]` samples, or one-hot `[K, ..., B, D, C]`.
        alternative: gives, for numbers a `[S]`, what every coordinate would be set to `[S, K, ..., B, *]`.
        alternatives: how many there are of each coordinate.
    """
    axis = z.ndim - q.event_ndim
    size = z.shape[axis]
    per_point = max(z.numel(), z.shape[:axis].numel() * x.shape[-1])
    points = torch.arange(alternatives * size, device=z.device)
    costs = []
    with torch.no_grad():
        for chunk in points.split(at_once(z, per_point)):
            here = torch.arange(size, device=z.device) == chunk[:, None] % size  # [S, D]
            here = here.view(-1, *[1] * axis, size, *[1] * (q.event_ndim - 1))
            moved = torch.where(here, alternative(chunk // size), z)  # [S, K, ..., B, *]
            costs.append(cost(moved.flatten(0, 1)).unflatten(0, moved.shape[:2]))
    return torch.cat(costs).unflatten(0, (alternatives, size))


def bit_differences(q: Latent, cost: Cost, x: Tensor, z: Tensor, c: Tensor) -> Tensor:
    """What setting a bit adds to the cost, the others held: `[K, ..., B, D]` for bits z that cost c `[K, ..., B]`."""
    flipped = substituted(q, cost, x, z, lambda a: (1 - z).unsqueeze(0), 1)[0]  # [D, K, ..., B]
    return (2 * z - 1) * (c.detach().unsqueeze(-1) - flipped.movedim(0, -1))
