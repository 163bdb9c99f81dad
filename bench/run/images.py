"""A few images of a finished run, for people to look at: `images.npz` beside its tables. No number depends on them."""

import io
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from bench.data.datasets import Data
from bench.files import replace
from bench.model.hierarchy import Hierarchy, from_prior
from bench.model.residual import Residual
from bench.model.rssm import RSSM
from bench.model.vae import VAE
from bench.run.experiment import Experiment
from bench.streams import own_stream
from estimators import VQ

IMAGES_FILE = "images.npz"


def write_images(directory: Path, experiment: Experiment) -> None:
    """Write the arrays of `pictures` for `evaluate.images` test images. Nothing is written if that is 0, if the model
    is no VAE, or for halves of images and for sequences."""
    settings, seeds = experiment.config["evaluate"], experiment.config["seeds"]
    model, data = experiment.model, experiment.data
    if not settings["images"] or not isinstance(model, VAE) or not isinstance(data, Data):
        return
    if isinstance(model, RSSM) or (isinstance(model, Hierarchy) and model.structured):
        return
    x = data.fixed("test", settings["examples"], seeds["data"])
    with own_stream(seeds["measure"], "images"):
        found = pictures(model, x, settings["images"], data.shape)
    content = io.BytesIO()
    np.savez_compressed(content, allow_pickle=False, **found)
    directory.mkdir(parents=True, exist_ok=True)
    replace(directory / IMAGES_FILE, content.getvalue())


@torch.no_grad()
def pictures(model: VAE, x: Tensor, n: int, shape: tuple[int, int, int]) -> dict[str, np.ndarray]:
    """Images `data`, `reconstruction` (from one sample of q) and `prior` (the decoder's means): `[n, C, H, W]`, uint8.

    The n images are spread evenly over `x [N, X]`. VQ adds `codes [C]`: how often each code is the nearest, over all
    positions of all N images. With several stages these are the codes of the first.
    """
    few = x[torch.arange(min(n, len(x)), device=x.device) * len(x) // min(n, len(x))]
    points = model.walk(few, 1)[0] if isinstance(model, Residual) else model.encode(few).sample(1)
    found = {
        "data": _bytes(few, shape),
        "reconstruction": _bytes(_mean(model, points)[0], shape),
        "prior": _bytes(_mean(model, from_prior(model, len(few), x))[:, 0], shape),
    }
    everything = model.encode(x)
    if isinstance(everything, VQ):
        found["codes"] = everything.nearest().flatten(0, -2).sum(0).long().cpu().numpy()
    return found


def _mean(model: VAE, z: Tensor) -> Tensor:
    output = model.decode(z)  # [K, B, X]
    return output.sigmoid() if model.config["likelihood"] == "bernoulli" else output


def _bytes(x: Tensor, shape: tuple[int, int, int]) -> np.ndarray:
    return (x.nan_to_num().clamp(0, 1) * 255).round().to(torch.uint8).reshape(-1, *shape).cpu().numpy()
