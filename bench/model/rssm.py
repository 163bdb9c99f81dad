"""A recurrent state-space model of a sequence, in the VAE's place: the cell of the Dreamer agents.

* D. Hafner, T. Lillicrap, M. Norouzi, J. Ba, Mastering Atari with Discrete World Models, ICLR 2021, arXiv:2010.02193.
* D. Hafner, J. Pasukonis, J. Ba, T. Lillicrap, Mastering Diverse Domains through World Models, 2023, arXiv:2301.04104:
  the uniform mixture, and the weights of the KL's two sides.
"""

import math
from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor, nn

from bench.model.latents import units
from bench.model.networks import Trunk
from bench.model.vae import VAE, output_level
from bench.settings import LatentGroup, ModelGroup
from estimators import VQ, Categorical, Latent

SEQUENCE = "sequence"  # the task


class Cell(nn.Module):
    """A gated recurrent unit whose gates are one linear map, as Dreamer's is; its update gate starts nearly closed."""

    def __init__(self, inputs: int, state: int):
        super().__init__()
        self.gates = nn.Linear(inputs + state, 3 * state)

    def forward(self, given: Tensor, state: Tensor) -> Tensor:
        """h_t `[..., H]` from z_{t-1} and h_{t-1}, `given` being both `[..., inputs + H]`."""
        reset, candidate, update = self.gates(given).chunk(3, -1)
        update = torch.sigmoid(update - 1)
        return update * torch.tanh(torch.sigmoid(reset) * candidate) + (1 - update) * state


class Visit(NamedTuple):
    """A step of k paths: h_t, a sample z_t of q(z_t|h_t, x_t), and p(z_t|h_t)."""

    step: int
    state: Tensor
    z: Tensor
    q: Latent
    p: Latent


class RSSM(VAE):
    """T steps with shared weights, each with a latent of its own.

        h_1 = 0, h_t = GRU(h_{t-1}, z_{t-1})      q(z_t|h_t, x_t)      p(z_t|h_t)      p(x_t|h_t, z_t)

    With one step it is the VAE with a learned prior. Every conditional is a fully connected network with `model.hidden`
    between its ends. Categories of q and p are mixed with `unimix` of the uniform distribution. The images are cut into
    the steps: `model.steps` equal pieces, in the order of their pixels.

    Args:
        latent: the `latent` group of the config.
        model: the `model` group of the config, with the keys of `task: sequence`.
        shape: (channels, height, width) of an image; its channels are the steps, or the rows where there is one.
        mean: `[X]` mean training image.

    Raises:
        ValueError: the image cannot be cut so, or the group asks for what this model has not.
    """

    noun = "step"
    root = ""  # no parameter is of the first step alone: see `bench.model.adapted.encodes`

    def __init__(self, latent: LatentGroup, model: ModelGroup, shape: tuple[int, int, int], mean: Tensor):
        rows = shape[0] * shape[1]
        steps = (shape[0] if shape[0] > 1 else rows) if model["steps"] is None else model["steps"]
        if rows % steps:
            raise ValueError(f"model.steps={steps} does not divide the {rows} rows of an image of {shape}.")
        if reason := _unfit(latent, model):
            raise ValueError(reason)
        pixels, width = len(mean) // steps, model["state"]
        average = mean.unflatten(0, (steps, pixels)).mean(0)
        super().__init__(latent, model, (1, 1, pixels), average)
        self.layers, self.state, self.unimix = steps, width, model["unimix"]
        self.dynamics, self.representation = model["balance"]
        count, inputs = math.prod(self.params_shape), units(latent)[1]
        self.shapes = [self.params_shape] * steps
        self.encoder = Trunk(model, (1, 1, pixels + width), count, to_image=False)
        self.decoder = decoder = Trunk(model, (1, 1, pixels), inputs + width, to_image=True)
        if model["output_bias"] == "init":
            decoder.shift_output(output_level(model, average))
        self.prior_params = None
        self.cell, self.guess = Cell(inputs, width), Trunk(model, (1, 1, width), count, to_image=False)

    def frame(self, step: int, x: Tensor) -> Tensor:
        """x_t `[B, X / T]` of `x [B, X]`, for t from 1."""
        return x.unflatten(-1, (self.layers, -1))[..., step - 1, :]

    def begin(self, lead: torch.Size, like: Tensor) -> Tensor:
        """h_1 `[..., H]`."""
        return like.new_zeros(*lead, self.state)

    def onward(self, state: Tensor, z: Tensor) -> Tensor:
        """h_{t+1} `[..., B, H]` from h_t `[..., B, H]` and z_t `[..., B, *]`, whose axes may have more in front."""
        return self.cell(self.join(z, state), state)

    def join(self, z: Tensor, state: Tensor) -> Tensor:
        """What a network sees of both: `[..., B, inputs + H]`."""
        return _beside(self.read(z), state)

    def encode(self, x: Tensor) -> Latent:
        """q(z_1|x_1) without gradient, since all of its parameters are those of the other steps too."""
        with torch.no_grad():
            return self.above(1, self.begin(x.shape[:-1], x), x)

    def above(self, step: int, state: Tensor, x: Tensor) -> Latent:
        """q(z_t|h_t, x_t)."""
        return self._family(self.encoder(_beside(self.frame(step, x) - self.centre, state)))

    def ahead(self, state: Tensor) -> Latent:
        """p(z_t|h_t)."""
        return self._family(self.guess(state))

    def _family(self, output: Tensor) -> Latent:
        params = output.unflatten(-1, self.params_shape)
        if self.unimix:
            floor = math.log(self.unimix / params.shape[-1])
            params = torch.logaddexp(params.log_softmax(-1) + math.log1p(-self.unimix), params.new_full((), floor))
        return self.posterior(params)

    def divergence(self, q: Latent, state: Tensor) -> Tensor:
        """KL(q(z_t|h_t, x_t) || p(z_t|h_t)) `[..., B]`; its derivative for p's parameters is multiplied by the weight
        of the dynamics, that for q's by the weight of the representation."""
        return _slowed(q, self.representation).kl(_slowed(self.ahead(state), self.dynamics))

    def log_step(self, step: int, x: Tensor, state: Tensor, z: Tensor) -> Tensor:
        """log p(x_t|h_t, z_t) `[..., B]`."""
        return self.density(self.frame(step, x), self.said(state, z))

    def said(self, state: Tensor, z: Tensor) -> Tensor:
        """What the decoder says of the pixels of a step `[..., B, X / T]`: logits or means."""
        return self.decoder(self.join(z, state)) + self.output_offset

    def walk(self, x: Tensor, k: int) -> tuple[Tensor, Tensor]:
        """log p(x|z_1 ... z_T) and log p(z_1 ... z_T) - log q(z_1 ... z_T|x), `[K, B]` each, of k samples of q."""
        likelihood = ratio = x.new_zeros(k, len(x))
        for at in self.along(x, k):
            likelihood = likelihood + self.log_step(at.step, x, at.state, at.z)
            ratio = ratio + at.p.log_prob(at.z) - at.q.log_prob(at.z)
        return likelihood, ratio

    def dreamt(self, x: Tensor, k: int) -> Tensor:
        """log p(x|z_1 ... z_T) `[K, B]` of k samples of the prior that all images share."""
        likelihood = x.new_zeros(k, len(x))
        for at in self.along(x, k, dreaming=True):
            likelihood = likelihood + self.log_step(at.step, x, at.state, at.z)
        return likelihood

    def outputs(self, x: Tensor, k: int, dreaming: bool = False) -> Tensor:
        """What the decoder says of all pixels `[K, B, X]` along k samples of q, or `[K, 1, X]` of the prior."""
        return torch.cat([self.said(at.state, at.z) for at in self.along(x, k, dreaming)], -1)

    def along(self, x: Tensor, k: int, dreaming: bool = False) -> Iterator[Visit]:
        """Step by step, k paths `[K, B, *]` of samples of q, or `[K, 1, *]` of the prior."""
        state = self.begin(torch.Size((k, 1 if dreaming else len(x))), x)
        for step in range(1, self.layers + 1):
            p = self.ahead(state)
            q = p if dreaming else self.above(step, state, x)
            z = q.sample(1)[0]
            yield Visit(step, state, z, q, p)
            state = self.onward(state, z)


def _unfit(latent: LatentGroup, model: ModelGroup) -> str | None:
    """Why these groups make no sequence, or None."""
    family = latent["family"]
    if model["arch"] == "conv" or model["prior"] != "learned":
        return "model.task=sequence takes model.arch=mlp or linear, and model.prior=learned."
    if family == VQ.family:
        return (
            "model.task=sequence takes latents with a density of their own: gaussian, bernoulli or categorical, not vq."
        )
    if latent.get("layers"):
        return "model.task=sequence has one latent a step: set latent.layers=null."
    if model["unimix"] and family != Categorical.family:
        return f"model.unimix mixes categories, and these latents are {family}: set model.unimix=0."
    return None


def _beside(first: Tensor, second: Tensor) -> Tensor:
    """Both along the last axis, each expanded to the axes of the other."""
    lead = torch.broadcast_shapes(first.shape[:-1], second.shape[:-1])
    return torch.cat([first.expand(*lead, first.shape[-1]), second.expand(*lead, second.shape[-1])], -1)


def _slowed(q: Latent, weight: float) -> Latent:
    """The same distribution, whose parameters get so much of their gradient."""
    return q if weight == 1 else q.with_params(weight * q.params + (1 - weight) * q.params.detach())
