"""A mixture of experts: one network for each category of the one latent variable, and a router over them."""

import math

import torch
from torch import Tensor, nn

from bench.model.hierarchy import STRUCTURED, Hierarchy
from bench.model.networks import Trunk
from bench.model.vae import output_level
from bench.settings import LatentGroup, ModelGroup


class Experts(Hierarchy):
    """p(lower half|upper half, e) for e ~ q(e|upper half): the encoder is the router, `decoder.e` is expert e.

        output = sum_e z_e expert_e(upper half)

    For a one-hot z that is one expert, and the exact gradient of the router costs one evaluation of each; of a z with
    weights it is their mixture, as sparse layers mix their outputs by gates. Every expert has the widths
    `model.hidden`, and so has the router. R. A. Jacobs, M. I. Jordan, S. J. Nowlan, G. E. Hinton, Adaptive Mixtures of
    Local Experts, Neural Computation 3, 1991; N. Shazeer et al., 2017, arXiv:1701.06538.

    All experts are computed whichever z asks for: an evaluation is of the output, and not of one expert.

    Args:
        latent: the `latent` group of the config: categorical, `dim` 1; E is `categories`.
        model: the `model` group, with task structured.
        shape: (channels, height, width) of an image.
        mean: `[X]` mean training image.

    Raises:
        ValueError: the latent, the task or the architecture is another.
    """

    def __init__(self, latent: LatentGroup, model: ModelGroup, shape: tuple[int, int, int], mean: Tensor):
        if reason := contradiction(latent, model):
            raise ValueError(reason)
        super().__init__(latent, model, shape, mean)
        half = (1, shape[1] // 2, shape[2])
        experts = [Trunk(model, half, math.prod(half), to_image=False) for _ in range(latent["categories"])]
        if model["output_bias"] == "init":
            for expert in experts:
                expert.shift_output(output_level(model, mean.chunk(2)[1]))
        self.decoder = nn.ModuleDict({str(number): expert for number, expert in enumerate(experts, 1)})

    def log_likelihood(self, x: Tensor, z: Tensor) -> Tensor:
        """log p(lower half|upper half, z) in nats: `x [B, X]`, `z [K, ..., B, 1, E]` -> `[K, ..., B]`."""
        seen, asked = x.chunk(2, -1)
        weights = z.squeeze(-2)  # [K, ..., B or 1, E]
        lead = torch.broadcast_shapes(weights.shape[1:-1], x.shape[:-1])
        read = (seen - self.centre).expand(1, *lead, -1)  # once for all samples
        outputs = torch.stack([expert(read) for expert in self.decoder.values()], -2)  # [1, ..., B, E, X / 2]
        mixed = (weights.unsqueeze(-2) @ outputs).squeeze(-2)
        return self.density(asked, mixed + self.output_offset)


def contradiction(latent: LatentGroup, model: ModelGroup) -> str | None:
    """One sentence saying what else experts need, or None."""
    if latent["family"] != "categorical" or latent["dim"] != 1 or len(latent.get("layers") or []) > 1:
        return "model.decoder=experts chooses one of several networks: set latent=categorical latent.dim=1."
    if model["task"] != STRUCTURED:
        return (
            "model.decoder=experts needs something for the experts to see: set model.task=structured objective.beta=0, "
            "where it is the upper half of an image."
        )
    if model["arch"] == "conv":
        return "model.decoder=experts has no convolutions: set model.arch=mlp."
    return None
