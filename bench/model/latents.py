"""Which latents a `latent` group asks for: their sizes, and the distribution of a tensor of parameters."""

import inspect
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor

from bench.config import parts
from bench.errors import BadInput
from bench.settings import LatentGroup
from estimators import FAMILIES, Latent

Maker = Callable[[Tensor], Latent]  # params [..., B, *] -> q


def units(latent: LatentGroup) -> tuple[tuple[int, ...], int]:
    """Shape of q.params after the batch, and the number of values the decoder reads, for a latent config."""
    if "_target_" in latent:
        return _sizes(latent)
    match latent["family"]:
        case "gaussian":
            return (2 * latent["dim"],), latent["dim"]
        case "bernoulli":
            return (latent["dim"],), latent["dim"]
        case "categorical":
            return (latent["dim"], latent["categories"]), latent["dim"] * latent["categories"]
        case "vq":
            return (latent["positions"], latent["dim"]), latent["positions"] * latent["dim"]
    raise ValueError(f"There is no latent family {latent['family']!r}; there are {', '.join(FAMILIES)}.")


def each_layer(latent: LatentGroup) -> list[LatentGroup]:
    """The `latent` group of every layer, from x on. A layer that is given as a size is of the group's own family."""
    every: list[LatentGroup] = []
    for layer in latent.get("layers") or [latent["dim"]]:
        own: Any = layer if isinstance(layer, Mapping) else {"dim": layer}
        every.append({**latent, "layers": None, **own})
    return every


def maker(latent: LatentGroup) -> Maker:
    """What makes q of parameters; of `vq` it lacks the codebook. A class that is brought is handed those arguments of
    `sizes` that its constructor has too."""
    if "_target_" not in latent:
        return FAMILIES[latent["family"]]
    cls, keys = _brought(latent)
    more = {key: value for key, value in keys.items() if key in inspect.signature(cls).parameters}
    return partial(cls, **more) if more else cls


def point_ndim(latent: LatentGroup) -> int:
    """Axes of a point after the batch."""
    if "_target_" not in latent:
        return len(units(latent)[0])
    return _point(latent).ndim - 2


def _brought(latent: Any) -> tuple[type[Latent], dict[str, Any]]:
    return parts.target("latent", latent["_target_"]), {
        k: v for k, v in latent.items() if k not in ("_target_", "family")
    }


def _sizes(latent: LatentGroup) -> tuple[tuple[int, ...], int]:
    """What `sizes` gives; BadInput unless it is a shape and a number of values that a point has."""
    cls, keys = _brought(latent)
    try:
        found: Any = cls.sizes(**keys)  # type: ignore[attr-defined]
    except ValueError as error:
        raise BadInput(str(error)) from error
    try:
        (*shape,), inputs = found
        right = all(isinstance(size, int) and size > 0 for size in (*shape, inputs))
    except (TypeError, ValueError):
        right = False
    if not right:
        raise BadInput(
            f"sizes() of {cls.__name__} has to give a shape of params and a number of values; it gives {found}."
        )
    return tuple(shape), inputs


def _point(latent: LatentGroup) -> Tensor:
    """A sample `[1, 1, *]`. BadInput unless it has as many values as `sizes` says."""
    shape, inputs = units(latent)
    with torch.random.fork_rng([]):
        z = maker(latent)(torch.zeros(1, *shape)).sample(1)
    if z.ndim < 3 or z[0, 0].numel() != inputs:
        raise BadInput(
            f"sizes() of the {latent['family']} latents says that a point has {inputs} values; samples of one example "
            f"have the shape {list(z.shape)}."
        )
    return z
