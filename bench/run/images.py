"""A few images of a finished run, for people to look at: `images.npz` beside its tables. No number depends on them."""

import io
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from bench.data.datasets import Data
from bench.files import replace
from bench.model.adapted import Adapted
from bench.model.hierarchy import Hierarchy, from_prior
from bench.model.residual import Residual
from bench.model.rssm import RSSM
from bench.model.vae import VAE
from bench.run.experiment import Experiment
from bench.streams import own_stream
from estimators import VQ

IMAGES_FILE = "images.npz"
GREY = 128  # between frames


def write_images(directory: Path, experiment: Experiment) -> None:
    """Write the arrays of `pictures` for `evaluate.images` test images. Nothing is written if that is 0, if the model
    has none, or for halves of images."""
    settings, seeds = experiment.config["evaluate"], experiment.config["seeds"]
    model, data = experiment.model, experiment.data
    if not settings["images"] or not isinstance(model, VAE | Adapted) or not isinstance(data, Data):
        return
    if (isinstance(model, Hierarchy) and model.structured) or (isinstance(model, Adapted) and not model.shows):
        return
    x = data.fixed("test", settings["examples"], seeds["data"])
    with own_stream(seeds["measure"], "images"):
        found = pictures(model, x, settings["images"], data.shape)
    content = io.BytesIO()
    np.savez_compressed(content, allow_pickle=False, **found)
    directory.mkdir(parents=True, exist_ok=True)
    replace(directory / IMAGES_FILE, content.getvalue())


@torch.no_grad()
def pictures(model: VAE | Adapted, x: Tensor, n: int, shape: tuple[int, int, int]) -> dict[str, np.ndarray]:
    """Images `data`, `reconstruction` (from one sample of q) and `prior` (the decoder's means): `[n, C, H, W]`, uint8.

    The n images are spread evenly over `x [N, X]`. Frames of a sequence are one below another. VQ adds `codes [C]`: how
    often each code is the nearest, over all positions of all N images. With several stages these are the codes of the
    first.
    """
    few = x[torch.arange(min(n, len(x)), device=x.device) * len(x) // min(n, len(x))]
    if isinstance(model, RSSM):
        outputs, dreamt = model.outputs(few, 1), model.outputs(x, len(few), dreaming=True)
    else:
        decode = model.mean_images if isinstance(model, Adapted) else model.decode
        points = model.walk(few, 1)[0] if isinstance(model, Residual) else model.encode(few).sample(1)
        outputs, dreamt = decode(points), decode(from_prior(model, len(few), x))  # [1, n, X], [n, 1, X]
    pixels = {"data": few, "reconstruction": _means(model, outputs)[0], "prior": _means(model, dreamt)[:, 0]}
    found = {kind: _bytes(each, shape) for kind, each in pixels.items()}
    if isinstance(model, RSSM) and shape[0] > 1:
        found = {kind: _below(frames) for kind, frames in found.items()}
    everything = model.encode(x)
    if isinstance(everything, VQ):
        found["codes"] = everything.nearest().flatten(0, -2).sum(0).long().cpu().numpy()
    return found


def _means(model: VAE | Adapted, outputs: Tensor) -> Tensor:
    logits = isinstance(model, VAE) and model.config["likelihood"] == "bernoulli"
    return outputs.sigmoid() if logits else outputs


def _below(frames: np.ndarray) -> np.ndarray:
    """`[n, T, H, W]` -> `[n, 1, T (H + 1) - 1, W]`, with a grey line between two frames."""
    lined = np.pad(frames, ((0, 0), (0, 0), (0, 1), (0, 0)), constant_values=GREY)
    return lined.reshape(len(frames), 1, -1, frames.shape[-1])[:, :, :-1]


def _bytes(x: Tensor, shape: tuple[int, int, int]) -> np.ndarray:
    return (x.nan_to_num().clamp(0, 1) * 255).round().to(torch.uint8).reshape(-1, *shape).cpu().numpy()
