"""Optimisers by their names in `torch.optim`, schedules of the learning rate, and clipping of gradients."""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from bench.settings import TrainGroup


def make_optimiser(
    parameters: list[nn.Parameter], lr: float, config: TrainGroup, decays: bool = False
) -> torch.optim.Optimizer:
    """The optimiser that the `train` group names, over these parameters; `train.weight_decay` applies if `decays`."""
    name, (first, second), eps = config["optimiser"], config["betas"], config["eps"]
    betas, decay = (first, second), config["weight_decay"] if decays else 0.0
    match name:
        case "adam":
            return torch.optim.Adam(parameters, lr, betas, eps, decay, fused=True)
        case "adamw":
            return torch.optim.AdamW(parameters, lr, betas, eps, decay, fused=True)
        case "nadam":
            return torch.optim.NAdam(parameters, lr, betas, eps, decay, config["momentum_decay"])
        case "radam":
            return torch.optim.RAdam(parameters, lr, betas, eps, decay)
        case "sgd":
            momentum, nesterov = config["momentum"], config["nesterov"]
            return torch.optim.SGD(parameters, lr, momentum, weight_decay=decay, nesterov=nesterov, fused=True)
    raise ValueError(f"There is no optimiser {name!r}; there are adam, adamw, nadam, radam, sgd.")


def changing(config: TrainGroup) -> str | None:
    """The setting that makes the learning rate change between steps, as `key=value`, or None."""
    if config["schedule"] != "constant":
        return f"train.schedule={config['schedule']}"
    return f"train.warmup={config['warmup']}" if config["warmup"] else None


def factor(step: int, config: TrainGroup) -> float:
    """The factor of every learning rate at a step; the first step is 0.

    In the first `train.warmup` steps, W, the factor rises as (step + 1)/(W + 1), which is `LinearLR` from 1/(W + 1) to
    1. Then the schedule starts at its own step 0 and takes the S steps that remain. `cosine` is a quarter of a wave,
    cos(pi/2 step/S). `warmup_cosine`, half a wave, `linear` and `step` are `CosineAnnealingLR`, `LinearLR` and `StepLR`
    of `torch.optim.lr_scheduler` in closed form. `tripling`, of Burda et al. 2016, is `step` with intervals of
    `train.decay_steps`, then three times, then nine times as many, and so on. After the last step the factor is
    constant. It depends on the step alone, so a continued training has the same factors to the bit.
    """
    if changing(config) is None:
        return 1.0
    if step < config["warmup"]:
        return (step + 1) / (config["warmup"] + 1)
    since, all_steps, end = step - config["warmup"], config["steps"] - config["warmup"], config["end_factor"]
    done = min(since / max(all_steps, 1), 1.0)
    match config["schedule"]:
        case "constant":
            return 1.0
        case "cosine":
            return math.cos(math.pi / 2 * done)
        case "warmup_cosine":
            return end + (1 - end) * (1 + math.cos(math.pi * done)) / 2
        case "linear":
            return 1 + (end - 1) * done
        case "step":
            return config["decay_factor"] ** (since // config["decay_steps"])
        case "tripling":
            return config["decay_factor"] ** _stage(since, config["decay_steps"])
    raise ValueError(f"There is no schedule {config['schedule']!r}.")


def _stage(step: int, first: int) -> int:
    """The stage of a step. Stage 0 has `first` steps; each later stage is three times as long as the one before."""
    stage, end = 0, first
    while step >= end:
        stage += 1
        end += first * 3**stage
    return stage


@contextmanager
def clipped(parameters: Sequence[nn.Parameter], most: float | None, lead: int = 0) -> Iterator[None]:
    """A context in which the joint norm of these parameters' gradients is at most `most`; None: no limit.

    It clips as `torch.nn.utils.clip_grad_norm_`, but restores `.grad` at the end, so that later readers find the
    estimator's gradient. With `lead` 1 the first axis of every parameter counts replicas, and each is clipped by its
    own norm.
    """
    kept = [(p, p.grad) for p in parameters if p.grad is not None] if most is not None else []
    if most is None or not kept:
        yield
        return
    for (p, _), grad in zip(kept, scaled([grad for _, grad in kept], most, lead), strict=True):
        p.grad = grad
    try:
        yield
    finally:
        for p, grad in kept:
            p.grad = grad


def scaled(grads: list[Tensor], most: float, lead: int) -> list[Tensor]:
    """The gradients `[*lead, ...]` times min(most / (norm + 1e-6), 1), where norm `[*lead]` is that of all of them."""
    norms = [torch.linalg.vector_norm(grad.reshape(*grad.shape[:lead], -1), dim=-1) for grad in grads]
    scale = (most / (torch.linalg.vector_norm(torch.stack(norms), dim=0) + 1e-6)).clamp(max=1.0)
    return [grad * scale.reshape(scale.shape + (1,) * (grad.ndim - lead)) for grad in grads]
