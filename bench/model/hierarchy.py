"""Several layers of latents, one above the other, in the VAE's place."""

import math

import torch
from torch import Tensor, nn

from bench.model.adapted import Adapted
from bench.model.latents import each_layer, units
from bench.model.networks import Trunk
from bench.model.residual import Residual
from bench.model.vae import VAE, signed
from bench.settings import LatentGroup, ModelGroup
from estimators import FAMILIES, Bernoulli, Latent

STRUCTURED = "structured"  # the task: the lower half of an image, given the upper


class Hierarchy(VAE):
    """L layers; `latent.layers` holds their sizes, from x on, or the family and the sizes of one.

        q(z_1|x) q(z_2|z_1) ... q(z_L|z_{L-1})      p(z_L) ... p(z_1|z_2) p(x|z_1)      task generative
        q(z_1|x) q(z_2|z_1) ... q(z_L|z_{L-1})      p(y|z_L)                            task structured

    Layer 1 and p(x|z_1) are those of the VAE, and with one layer it is the VAE. Every further conditional is a network
    of its own, fully connected, with `model.hidden` between its ends (none where that holds channels): `encoder.l` is
    q(z_l|z_{l-1}), `decoder.l` is p(z_{l-1}|z_l), `decoder.1` is p(x|z_1). Only the prior of z_L may be learned.

    With task structured, x is the upper half of the image and y the lower. There is no p(z): q is the model, a network
    with random units, and the bound is E log p(y|z_L).

    Args:
        latent: the `latent` group of the config; without `layers` there is one, of size `dim`.
        model: the `model` group of the config.
        shape: (channels, height, width) of an image.
        mean: `[X]` mean training image.

    Raises:
        ValueError: the image has no halves.
    """

    noun = "layer"
    root = "encoder.1"  # see `bench.model.adapted.encodes`
    encoder: nn.ModuleDict
    decoder: nn.ModuleDict

    def __init__(self, latent: LatentGroup, model: ModelGroup, shape: tuple[int, int, int], mean: Tensor):
        each = each_layer(latent)
        self.structured, first, ends = model["task"] == STRUCTURED, mean, mean
        if self.structured:
            if shape[0] != 1 or shape[1] % 2:
                raise ValueError(f"model.task=structured halves images of one channel and an even height; got {shape}.")
            shape = (1, shape[1] // 2, shape[2])
            first, ends = mean.chunk(2)
        super().__init__(each[-1] if self.structured else each[0], model, shape, ends)
        self.families = [FAMILIES[one["family"]] for one in each]
        self.shapes, inputs = [units(one)[0] for one in each], [units(one)[1] for one in each]
        self.params_shape, self.layers, pairs = self.shapes[0], len(each), range(1, len(each))
        within: ModelGroup = {**model, "arch": "mlp", "hidden": [] if model["arch"] == "conv" else model["hidden"]}
        encoders, decoders = list[nn.Module]([self.encoder]), list[nn.Module]([self.decoder])
        if self.structured:
            encoders = [Trunk(model, shape, math.prod(self.params_shape), to_image=False)]
            self.centre.copy_(first if model["center_input"] else torch.zeros_like(first))
        encoders += [Trunk(within, (1, 1, inputs[i - 1]), math.prod(self.shapes[i]), to_image=False) for i in pairs]
        if not self.structured:
            wide = [(1, 1, math.prod(params)) for params in self.shapes]
            decoders += [Trunk(within, wide[i - 1], inputs[i], to_image=True) for i in pairs]
        self.encoder = nn.ModuleDict({str(layer): net for layer, net in enumerate(encoders, 1)})
        self.decoder = nn.ModuleDict({str(layer): net for layer, net in enumerate(decoders, 1)})
        learned = self.prior_params is not None and not self.structured
        self.prior_params = nn.Parameter(torch.zeros(1, *self.shapes[-1])) if learned else None

    def encode(self, x: Tensor) -> Latent:
        """`x [B, X]` -> q of layer 1 with `params [B, *]`."""
        seen = x.chunk(2, -1)[0] if self.structured else x
        return self.made(1, self.encoder["1"](seen - self.centre))

    def above(self, layer: int, z: Tensor) -> Latent:
        """q of layer 2 or a further one, given points `z [..., B, *]` of the layer before."""
        return self.made(layer, self.encoder[str(layer)](self.read(z, layer - 1)))

    def below(self, layer: int, z: Tensor) -> Latent:
        """p of the layer before, given points `z [..., B, *]` of layer 2 or a further one."""
        return self.made(layer - 1, self.decoder[str(layer)](self.read(z, layer)))

    def made(self, layer: int, output: Tensor) -> Latent:
        """The distribution of a layer, for the output `[..., B, outputs]` of a network."""
        shape = self.shapes[layer - 1]
        return self.families[layer - 1](output.unflatten(-1, shape) if len(shape) > 1 else output)

    def standard(self, layer: int, like: Tensor) -> Latent:
        """The distribution of a layer with parameters 0 `[1, *]`, of the dtype and on the device of a tensor."""
        return self.families[layer - 1](like.new_zeros(1, *self.shapes[layer - 1]))

    def prior(self) -> Latent | None:
        return None if self.prior_params is None else self.families[-1](self.prior_params)

    def read(self, z: Tensor, layer: int = 1) -> Tensor:
        """What a network sees at points `z [..., *]` of a layer: `[..., inputs]`."""
        family = self.families[layer - 1]
        if family.event_ndim > 1:
            z = z.flatten(-family.event_ndim)
        return signed(z) if family is Bernoulli and self.config["signed_latent"] else z

    def decode(self, z: Tensor) -> Tensor:
        """Points `z [K, ..., B, *]` of layer 1, or with task structured of layer L -> logits or means of the pixels."""
        return self.decoder["1"](self.read(z, self.layers if self.structured else 1)) + self.output_offset

    def log_likelihood(self, x: Tensor, z: Tensor) -> Tensor:
        return super().log_likelihood(x.chunk(2, -1)[1] if self.structured else x, z)

    def walk(self, x: Tensor, k: int) -> tuple[Tensor, Tensor]:
        """log p(x|z) and log p(z_1 ... z_L) - log q(z_1 ... z_L|x), `[K, B]` each, of k samples of all layers; the
        latter is 0 without a prior."""
        q, points, ratio = self.encode(x), list[Tensor](), x.new_zeros(k, len(x))
        for layer in range(1, self.layers + 1):
            if layer > 1:
                q = self.above(layer, points[-1])
            z = q.sample(1)[0] if layer > 1 else q.sample(k)
            if not self.structured:
                ratio = ratio - q.log_prob(z)
                ratio = ratio + (self.below(layer, z).log_prob(points[-1]) if layer > 1 else 0)
            points.append(z)
        likelihood = self.log_likelihood(x, points[-1 if self.structured else 0])
        return likelihood, ratio if self.structured else ratio + self.log_prior(points[-1], q)


def from_prior(model: VAE | Adapted, k: int, x: Tensor) -> Tensor:
    """k points `[K, 1, *]` that the decoder reads, from the prior; any x has the same."""
    if isinstance(model, Residual):
        return model.from_prior(k, x)
    if not isinstance(model, Hierarchy):
        return (model.prior() or model.encode(x[:1]).standard()).sample(k)
    z = (model.prior() or model.standard(model.layers, x)).sample(k)
    for layer in range(model.layers, 1, -1):
        z = model.below(layer, z).sample(1)[0]
    return z
