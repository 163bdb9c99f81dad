"""Keys that came after runs had been published, and the value that all runs before had."""

from typing import Any

LATER: dict[str, Any] = {
    "precision": "highest", "deterministic": False,
    "engine_fallback": "none", "timing.block": 0.05, "timing.error": 0.01,
    "train.nesterov": False, "train.momentum_decay": 0.004, "train.weight_decay": 0.0, "train.clip_norm": None,
    "train.warmup": 0, "train.end_factor": 0.0, "train.decay_steps": 500, "train.decay_factor": 0.1,
    "data.dequantise": False,
    "latent.layers": None, "latent.stages": 1, "latent.residual_detach": True,
    "model.task": "generative", "model.decoder": "network", "model.kernels": None, "model.strides": None,
}  # fmt: skip


def as_before(key: str, value: Any) -> bool:
    """Whether this key came later and holds what all runs before had: it then says nothing."""
    return key in LATER and value == LATER[key]
