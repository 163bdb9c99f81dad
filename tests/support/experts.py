"""A mixture of experts small enough to be written out."""

from typing import Any

import torch
from torch import Tensor

from bench.check.measured import MODEL
from bench.model.experts import Experts
from bench.model.factory import vae

EXPERTS, SHAPE, MEAN = 3, (1, 2, 2), torch.tensor([0.4, 0.3, 0.6, 0.2])
LATENT = {"family": "categorical", "dim": 1, "categories": EXPERTS}
GROUP = MODEL | {"task": "structured", "decoder": "experts", "hidden": [3], "center_input": True, "output_bias": "init"}


def mixture(**model: Any) -> Experts:
    """Of 2x2 images: its router and its experts have no small weights."""
    with torch.random.fork_rng():
        torch.manual_seed(6)
        made = vae(LATENT, GROUP | model, SHAPE, MEAN).double()
        for parameter in made.parameters():
            parameter.data += 0.5 * torch.randn_like(parameter)
    return made


def by_hand(model: Experts, x: Tensor) -> tuple[Tensor, Tensor]:
    """Probabilities of the router `[B, E]` and logits of every expert `[E, B, X / 2]`."""
    seen = x[:, :2] - model.centre
    return model.encoder["1"](seen).softmax(-1), torch.stack([expert(seen) for expert in model.decoder.values()])
