"""The VAE that every estimator trains: one trunk for all latent families; the family sizes only its last layer."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.model.adapted import Adapted
from bench.model.latents import Maker, maker, point_ndim, units
from bench.model.levels import categorical256
from bench.model.networks import Trunk
from bench.model.stages import codebook
from bench.problems import Problem
from bench.settings import LatentGroup, ModelGroup
from estimators import VQ, Bernoulli, Categorical, Latent


def output_level(model: ModelGroup, mean: Tensor) -> Tensor:
    """The decoder's output `[X]` for a mean image `[X]`."""
    return torch.logit(mean.clamp(0.001, 0.999)) if model["likelihood"] == "bernoulli" else mean


def signed(z: Tensor) -> Tensor:
    """2 z - 1, in one operation."""
    return torch.rsub(z, -1, alpha=-2)


class VAE(nn.Module):
    """Encoder, decoder, likelihood and prior. The part `encoder` is `self.encoder`; all other parameters are `decoder`.

    Args:
        latent: the `latent` group of the config.
        model: the `model` group of the config.
        shape: (channels, height, width) of an image.
        mean: `[X]` mean training image, for centring and for the output bias.
    """

    centre: Tensor
    output_offset: Tensor
    encoder: nn.Module
    decoder: nn.Module

    def __init__(self, latent: LatentGroup, model: ModelGroup, shape: tuple[int, int, int], mean: Tensor):
        super().__init__()
        self.latent, self.config = latent, model
        self.params_shape, inputs = units(latent)
        self.family = maker(latent)
        self.encoder = Trunk(model, shape, math.prod(self.params_shape), to_image=False)
        self.decoder = decoder = Trunk(model, shape, inputs, to_image=True)
        self.point_ndim = point_ndim(latent)
        self.codebook = codebook(latent) if latent["family"] == "vq" else None
        learned = model["prior"] == "learned"
        self.prior_params = nn.Parameter(self._prior_start()) if learned else None
        self.log_std = nn.Parameter(torch.full((1,), math.log(model["std"])), requires_grad=model["learn_std"])
        self.register_buffer("centre", mean.clone() if model["center_input"] else torch.zeros_like(mean))
        self.register_buffer("output_offset", torch.zeros_like(mean))
        if model["output_bias"] != "none":
            level = output_level(model, mean)
            decoder.shift_output(level) if model["output_bias"] == "init" else self.output_offset.copy_(level)

    def _prior_start(self) -> Tensor:
        if self.latent["family"] == "vq":
            return torch.zeros(1, self.latent["positions"], self.latent["codes"])
        return torch.zeros(1, *self.params_shape)

    def encode(self, x: Tensor) -> Latent:
        """`x [B, X]` -> q with `params [B, *]`."""
        params = torch.unflatten(self.encoder(x - self.centre), -1, self.params_shape)
        return self.posterior(params if self.codebook is None else self.codebook.bound(params))

    def posterior(self, params: Tensor) -> Latent:
        """The latent distribution with these parameters `[..., B, *]`."""
        if self.codebook is not None:
            return VQ(params, self.codebook.codes, self.latent["temperature"], self.codebook.embed)
        return self.family(params)

    def prior(self) -> Latent | None:
        """The learned prior, or None for the family's standard one."""
        if self.prior_params is None:
            return None
        family: Maker = Categorical if self.codebook is not None else self.family
        return family(self.prior_params)

    def decode(self, z: Tensor) -> Tensor:
        """Points `z [K, ..., B, *]` -> logits or means of the pixels `[K, ..., B, X]`."""
        return self.decoder(self.read(z)) + self.output_offset

    def read(self, z: Tensor) -> Tensor:
        """What a network sees at points `z [..., *]`: `[..., inputs]`."""
        if self.codebook is not None:
            z = self.codebook(z)
        if self.point_ndim > 1:
            z = z.flatten(-self.point_ndim)
        return signed(z) if self.latent["family"] == Bernoulli.family and self.config["signed_latent"] else z

    def log_likelihood(self, x: Tensor, z: Tensor) -> Tensor:
        """log p(x|z) in nats: `x [B, X]`, `z [K, ..., B, *]` -> `[K, ..., B]`; a batch axis of 1 in z is shared."""
        return self.density(x, self.decode(z))

    def density(self, x: Tensor, output: Tensor) -> Tensor:
        """log p(x) in nats `[K, ..., B]` of pixels with these logits or means `[K, ..., B or 1, X]`."""
        shared = output.shape[-2] == 1 and x.shape[-2] > 1  # then the inner products are one matrix product
        if self.config["likelihood"] == "categorical256":
            return categorical256(x, output, self.log_std)
        inner = (output @ x.mT).squeeze(-2) if shared else (output * x).sum(-1)
        if self.config["likelihood"] == "bernoulli":
            return inner - F.softplus(output, threshold=40).sum(-1)  # from 20 on, by default, it drops digits
        squares = (x**2).sum(-1) - 2 * inner + (output**2).sum(-1) if shared else ((x - output) ** 2).sum(-1)
        return -0.5 * (-2 * self.log_std).exp() * squares - x.shape[-1] * (self.log_std + 0.5 * math.log(2 * math.pi))

    def log_prior(self, z: Tensor, q: Latent) -> Tensor:
        """log p(z) `[K, ..., B]`."""
        return (self.prior() or q.standard()).log_prob(z)


Model = VAE | Problem | Adapted  # what an objective is over
