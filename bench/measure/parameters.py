"""The signal-to-noise ratio of single parameters, as papers have reported it.

The ratio of a parameter is |mean| / standard deviation of its gradient over independent draws, at fixed parameters and
on one fixed batch. Its mean over all parameters whose gradient has noise is reported. Rainforth et al. 2018,
arXiv:1802.04537, report it, and Liévin et al. 2020 (OVIS, arXiv:2008.01998) with 200 draws, whose code leaves out
parameters with a variance of 1e-15 or less. With R draws a parameter without signal still has a ratio of
sqrt(2 / (pi R)) on average. The table's `snr`, a ratio of squared norms minus their noise, does not have this bias.
"""

import torch

from bench.model.adapted import block_of
from bench.model.objective import Objective
from bench.streams import own_stream
from bench.tables.rows import GradientRow

NOISELESS = 1e-15  # a variance up to this counts as 0


def parameter_snr(objective: Objective, x: torch.Tensor, draws: int, seed: int) -> dict[str, GradientRow]:
    """The column `snr_parameters` of the parts encoder and decoder. A part without noise has none.

    Args:
        objective: the objective to measure; it is not changed.
        x: `[B, ...]` the batch.
        draws: R, 2 or more, computed one after another.
        seed: of the draws' noise.
    """
    named = [(n, p) for n, p in objective.model.named_parameters() if p.requires_grad]
    means = [torch.zeros_like(p) for _, p in named]
    squares = [torch.zeros_like(p) for _, p in named]  # sums of squared distances from the mean
    with own_stream(seed, "gradients of parameters"):
        for r in range(1, draws + 1):
            q = objective.model.encode(x)
            loss = (objective.estimate(q, x).loss + objective.fixed(q)).mean()
            grads = torch.autograd.grad(loss, [p for _, p in named], allow_unused=True, materialize_grads=True)
            for mean, square, grad in zip(means, squares, grads, strict=True):
                off = grad - mean
                mean += off / r
                square += off * (grad - mean)
    found: dict[str, GradientRow] = {}
    for part in ("encoder", "decoder"):
        ratios = []
        for (name, _), mean, square in zip(named, means, squares, strict=True):
            if block_of(objective.model, name).startswith("encoder.") == (part == "encoder"):
                variance = square.double() / max(draws - 1, 1)
                noisy = variance > NOISELESS
                ratios.append(mean.double()[noisy].abs() / variance[noisy].sqrt())
        if ratios and len(every := torch.cat(ratios)):
            found[part] = {"snr_parameters": float(every.mean())}
    return found
