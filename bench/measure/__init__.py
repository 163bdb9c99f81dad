"""Gradient noise, bias and cost at fixed parameters. Measuring never disturbs training: no state moves, and the random
stream is put back."""

from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor

from bench.measure.draws import take
from bench.measure.moments import BatchSums, statistics
from bench.measure.tally import Tally
from bench.objective import Objective

__all__ = ["measure", "own_stream", "take"]


@contextmanager
def own_stream(seed: int):
    """Noise of one's own inside; the surrounding random streams go on as if nothing had happened."""
    devices = range(torch.cuda.device_count()) if torch.cuda.is_initialized() else []
    with torch.random.fork_rng(devices):
        torch.manual_seed(seed)
        yield


def measure(
    objective: Objective,
    probe: Tensor,
    draws: int,
    *,
    seed: int,
    memory: float = 256,
    layers: bool = False,
    reference: Objective | None = None,
    reference_draws: int = 4096,
) -> list[dict]:
    """One row of statistics per part: `latent`, `encoder`, `decoder`, and each block of coordinates with `layers`.

    Args:
        objective: what is measured, left as it is.
        probe: `[M, B, X]` probe batches.
        draws: R, independent draws per probe batch.
        seed: of the draws' noise.
        memory: MiB that one chunk of draws may take.
        reference: the same objective under an unbiased estimator, for bias and cosine.
        reference_draws: its draws per probe batch.
    """
    references: list[dict[str, Tally]] = []
    with own_stream(seed):
        taken = [take(objective, x, draws, memory=memory) for x in probe]
        if reference is not None:
            references = [take(reference, x, reference_draws, memory=memory) for x in probe]
    rows = []
    for part, blocks in _parts(taken[0], layers).items():
        sums = [_sums(t, blocks, references[m] if references else None) for m, t in enumerate(taken)]
        rows.append({"part": part, **statistics(sums, None if part == "latent" else _means(taken, blocks))})
    for row in rows:
        row |= {"batches": len(probe), "draws": draws, "estimator": objective.estimator.name}
        row["reference"] = None if reference is None else reference.estimator.name
        row["reference_draws"] = None if reference is None else reference_draws
    return rows


def _parts(tallies: dict[str, Tally], layers: bool) -> dict[str, list[str]]:
    encoder = [n for n in tallies if n.startswith("encoder.")]
    decoder = [n for n in tallies if n != "latent" and n not in encoder]
    parts = {"latent": ["latent"], "encoder": encoder, **({"decoder": decoder} if decoder else {})}
    return parts | ({n: [n] for n in encoder + decoder} if layers else {})


def _sums(taken: dict[str, Tally], blocks: list[str], reference: dict[str, Tally] | None) -> BatchSums:
    """Squares and inner products of one probe batch, summed over the blocks of a part."""
    squares, products = torch.zeros(()), torch.zeros(())
    noise = 0.0
    for name in blocks:
        rows = taken[name].vectors().double()
        if reference is not None:
            tally = reference[name]
            rows = torch.cat([rows, tally.mean().double()[None]])
            noise += _noise_of_mean(tally)
        products = products + (rows @ rows.mT).cpu()
        squares = squares + taken[name].squares.cpu()
    counts = taken[blocks[0]].counts
    return BatchSums(counts.numpy(), squares.numpy(), products.numpy(), noise)


def _noise_of_mean(tally: Tally) -> float:
    n = int(tally.counts.sum())
    total = tally.sums.double().sum(0)
    return 0.0 if n < 2 else float(tally.squares.sum() - total @ total / n) / (n - 1) / n


def _means(taken: list[dict[str, Tally]], blocks: list[str]) -> np.ndarray:
    """Inner products `[M, M]` of the probe batches' mean gradients."""
    products = torch.zeros(())
    for name in blocks:
        means = torch.stack([t[name].mean().double() for t in taken])
        products = products + (means @ means.mT).cpu()
    return products.numpy()
