"""The problems that are timed: a VAE 784-200-200-200 of every family, a batch of 100 random binary images; and two
layers of 200 bits with one dense layer between, a batch of 24."""

from typing import Any, NamedTuple

import torch
from torch import Tensor

from bench.config.plugins import estimator
from bench.model.hierarchy import Hierarchy
from bench.model.layered import Layered
from bench.model.objective import Objective
from bench.model.vae import VAE
from bench.settings import LatentGroup, ModelGroup, TrainGroup
from bench.streams import own_stream

MODEL: ModelGroup = {
    "task": "generative", "decoder": "network", "arch": "mlp", "hidden": [200, 200], "activation": "leaky_relu",
    "slope": 0.3, "init": "glorot", "likelihood": "bernoulli", "std": 1.0, "learn_std": False, "prior": "fixed",
    "center_input": False, "signed_latent": False, "output_bias": "none", "kernels": None, "strides": None,
}  # fmt: skip
SBN = MODEL | {"hidden": [], "prior": "learned", "center_input": True, "signed_latent": True, "output_bias": "constant"}
LATENTS: dict[str, LatentGroup] = {  # the decoder reads 200 values of each
    "bernoulli": {"family": "bernoulli", "dim": 200},
    "gaussian": {"family": "gaussian", "dim": 200},
    "categorical": {"family": "categorical", "dim": 20, "categories": 10},
    "vq": {
        "family": "vq", "positions": 20, "dim": 10, "codes": 64, "temperature": 1.0, "codebook": "gradient",
        "codebook_weight": 1.0, "commitment_weight": 0.25, "decay": 0.9, "restart": 0.0,
    },
}  # fmt: skip
TRAIN: TrainGroup = {
    "steps": 1000,
    "batch_size": 100,
    "optimiser": "adam",
    "lr": 1e-3,
    "tuning_lr": 1e-3,
    "betas": [0.9, 0.999],
    "eps": 1e-8,
    "momentum": 0.9,
    "nesterov": False,
    "momentum_decay": 0.004,
    "weight_decay": 0.0,
    "clip_norm": None,
    "schedule": "constant",
    "warmup": 0,
    "end_factor": 0.0,
    "decay_steps": 500,
    "decay_factor": 0.1,
}


class Option(NamedTuple):
    """An estimator that is timed: its name, a latent family, hyper-parameters that are not its defaults."""

    name: str
    family: str
    hyper: dict[str, Any] = {}


LEAD = Option("rloo", "bernoulli", {"k": 2})  # whose draws and steps have targets
OTHERS = (
    Option("reparam", "gaussian"),
    Option("gumbel_softmax", "categorical"),
    Option("straight_through", "categorical"),
    Option("vq_straight_through", "vq"),
)
TWO_LAYERS = "two layers"
LAYERED = (Option("rloo", "bernoulli"), Option("disarm", "bernoulli"))


def problem(device: torch.device, option: Option) -> tuple[Objective, Tensor]:
    """An objective and its images `[100, 784]`; the same weights and images every time."""
    with own_stream(0, "speed"):
        x = (torch.rand(100, 784) < 0.13).float().to(device)
        model = VAE(LATENTS[option.family], MODEL, (1, 28, 28), x.mean(0).cpu()).to(device)
        return Objective(model, estimator(option.name, **option.hyper).to(device)), x


def two_layers(device: torch.device, option: Option) -> tuple[Layered, Tensor]:
    """The same of two layers of bits, as `model=sbn_linear` has them."""
    with own_stream(0, "speed"):
        x = (torch.rand(24, 784) < 0.13).float().to(device)
        model = Hierarchy(LATENTS[option.family] | {"layers": [200, 200]}, SBN, (1, 28, 28), x.mean(0).cpu()).to(device)
        return Layered(model, estimator(option.name, **option.hyper).to(device)), x
