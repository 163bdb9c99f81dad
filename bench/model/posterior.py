"""The latents of a run as a model sees them that is anyone's own."""

import math

from torch import Tensor

from bench.errors import Impossible
from bench.model.latents import maker, point_ndim, units
from bench.settings import LatentGroup
from estimators import VQ, Latent


class Posterior:
    """What a network has to give for q, and what one reads of z: `latent=categorical latent.dim=10` in two numbers.

    Attributes:
        outputs: numbers that an encoder has to give.
        inputs: numbers that a decoder is given.
    """

    def __init__(self, latent: LatentGroup):
        self.family = latent["family"]
        self.shape, self.inputs = units(latent)
        self.outputs, self.point_ndim, self.made = math.prod(self.shape), point_ndim(latent), maker(latent)

    def __call__(self, output: Tensor) -> Latent:
        """q of an encoder's output `[..., B, outputs]`. Impossible of vq, whose codebook is a part of the model."""
        if self.family == VQ.family:
            raise Impossible("latent=vq has a codebook, and this model has none of its own; take another latent.")
        return self.made(output.unflatten(-1, self.shape))

    def read(self, z: Tensor) -> Tensor:
        """Points `[..., B, *]` as numbers `[..., B, inputs]`."""
        return z.reshape(*z.shape[: z.ndim - self.point_ndim], self.inputs)


def unlike(q: Latent, latent: LatentGroup) -> str | None:
    """One sentence where q is not what this group says, or None."""
    shape, _ = units(latent)
    if "_target_" not in latent and latent.get("layers"):
        return "latent.layers is for the models of the suite; this model has one layer."
    if q.family == latent["family"] and tuple(q.params.shape[1:]) == shape:
        return None
    return (
        f"encode(x) gives {q.family} latents with params [B, {', '.join(map(str, q.params.shape[1:]))}], and the group "
        f"latent says {latent['family']} with [B, {', '.join(map(str, shape))}]: set it to what the model has."
    )
