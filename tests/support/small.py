"""Models small enough to check by hand, in float64, and the statistics of gradients that are written out in full."""

import numpy as np
import torch
from torch import Tensor

from bench.check import measured
from bench.check.measured import MODEL
from bench.model.vae import VAE

PIXELS = 16
LATENTS = {
    "gaussian": {"family": "gaussian", "dim": 3},
    "bernoulli": {"family": "bernoulli", "dim": 4},
    "categorical": {"family": "categorical", "dim": 2, "categories": 3},
    "vq": measured.LATENTS["vq"] | {"dim": 3, "codes": 4},
}
TRAIN = {
    "steps": 12, "optimiser": "adam", "lr": 0.01, "betas": [0.9, 0.999], "eps": 1e-8, "momentum": 0.9,
    "nesterov": False, "momentum_decay": 0.004, "weight_decay": 0.0, "clip_norm": None, "tuning_lr": 0.01,
    "schedule": "constant", "warmup": 0, "end_factor": 0.0, "decay_steps": 500, "decay_factor": 0.1,
}  # fmt: skip


def mean_image() -> Tensor:
    """`[X]`, one pixel always black and one always white."""
    return torch.linspace(0, 1, PIXELS, dtype=torch.float64) ** 2


def vae(family: str, latent: dict | None = None, **model) -> VAE:
    """A model of 4x4 images; `latent` and `model` change the configs above. Its learned prior is not uniform."""
    made = VAE(LATENTS[family] | (latent or {}), MODEL | model, (1, 4, 4), mean_image()).double()
    if made.prior_params is not None:
        torch.nn.init.normal_(made.prior_params, std=0.5)
    return made


def images(*lead: int) -> Tensor:
    """Binary images `[*lead, X]`."""
    return (torch.rand(*lead, PIXELS, dtype=torch.float64) < 0.5).double()


def brute_force(gradients: list[np.ndarray], references: list[np.ndarray] | None = None) -> dict[str, float]:
    """The statistics of explicit gradients: `[R, P]` for each probe batch, with the reference for each: draws `[k, P]`,
    or `[P]` where it is known."""
    names = ("variance_noise", "norm_sq", "bias_sq", "inner", "reference_norm_sq")
    found: dict[str, list[float]] = {name: [] for name in names}
    for m, g in enumerate(gradients):
        noise = g.var(0, ddof=1).sum() if np.ptp(g, 0).max() > 1e-12 else 0.0
        mean = g.mean(0)
        found["variance_noise"].append(noise)
        found["norm_sq"].append(mean @ mean - noise / len(g))
        if references is not None:
            drawn = np.atleast_2d(references[m])
            r, uncertain = drawn.mean(0), drawn.var(0, ddof=1).sum() / len(drawn) if len(drawn) > 1 else 0.0
            found["bias_sq"].append((mean - r) @ (mean - r) - noise / len(g) - uncertain)
            found["reference_norm_sq"].append(r @ r - uncertain)
            found["inner"].append(mean @ r)
    result = {name: float(np.mean(values)) if values else np.nan for name, values in found.items()}
    with np.errstate(invalid="ignore"):
        result["cosine"] = result.pop("inner") / np.sqrt(result["norm_sq"] * result["reference_norm_sq"])
        result["snr"] = result["norm_sq"] / result["variance_noise"] if result["variance_noise"] else np.nan
    result["mse"] = result["bias_sq"] + result["variance_noise"]
    result["bias_sq_scaled"] = 2 * result["reference_norm_sq"] * (1 - result["cosine"])
    known = min(result["norm_sq"], result["reference_norm_sq"]) > 0  # false where there is no reference
    factor_sq = result["reference_norm_sq"] / result["norm_sq"] if known else np.nan
    result["variance_scaled"] = factor_sq * result["variance_noise"]
    if len(gradients) > 1:
        means = np.stack([g.mean(0) for g in gradients])
        own = np.mean([n / len(g) for n, g in zip(found["variance_noise"], gradients, strict=True)])
        result["variance_data"] = float(means.var(0, ddof=1).sum() - own)
        result["variance"] = result["variance_data"] + result["variance_noise"]
    return result


def run_config(family: str, estimator: dict, **changes) -> dict:
    """A whole run on the built-in data, as `Experiment` takes it; `changes` are merged into its groups."""
    config = {
        "option": "planted", "name": "test", "problem": {"name": "vae"}, "seed": 0, "replicas": 1,
        "engine": "eager", "engine_fallback": "none",
        "device": "cpu", "threads": 1, "dtype": "float32", "precision": "highest", "deterministic": False,
        "seeds": {"model": 0, "data": 0, "estimator": 0, "measure": 0},
        "data": {"name": "digits", "root": "", "binarisation": "dynamic", "train_size": 60, "download": False},
        "estimator": estimator, "latent": LATENTS[family], "model": MODEL,
        "objective": {"kl": "analytic", "beta": 1.0},
        "train": TRAIN | {"batch_size": 8},
        "measure": {
            "at": [0, 0.5, 1], "draws": 6, "batches": 2, "batch_size": 5, "layers": True, "reference": "auto",
            "reference_draws": 7, "memory": 1, "precision": None, "max_draws": 24, "papers": True,
        },
        "evaluate": {"at": [0, 0.3, 1], "examples": 20, "samples": 3, "prior_samples": 4, "images": 2},
        "timing": {"repetitions": 2, "warmup": 1, "block": 0, "error": 0.01},
    }  # fmt: skip
    return config | {group: config[group] | values for group, values in changes.items()}
