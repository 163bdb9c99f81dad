"""Sums over the blocks of a part, such as the encoder, from which the statistics are computed."""

from collections.abc import Sequence

import numpy as np
import torch

from bench.measure.gradient.moments import BatchSums, noise_of
from bench.measure.gradient.tally import Tally

STAGE = "stage."  # the prefix of a part that is one stage of residual quantisation; its number follows
Tallies = dict[str, Tally]  # by block, of one probe batch


def parts(tallies: Tallies, layers: bool) -> dict[str, list[str]]:
    """The blocks of each part; with several layers of q, `latent.l` and `encoder.l` are parts too; with stages,
    `stage.s`; with `layers`, every block but q's parameters is one more part."""
    latent = [n for n in tallies if n.partition(".")[0] == "latent"]
    encoder = [n for n in tallies if n.startswith("encoder.")]
    stages = [n for n in tallies if n.startswith(STAGE)]
    decoder = [n for n in tallies if n not in latent + encoder + stages]
    found = {"latent": latent, "encoder": encoder, **({"decoder": decoder} if decoder else {})}
    for number, name in enumerate(latent, 1) if len(latent) > 1 else ():
        found[f"latent.{number}"] = [name]
        if of_it := [n for n in encoder if n.startswith(f"encoder.{number}.")]:  # steps share theirs
            found[f"encoder.{number}"] = of_it
    found |= {n: [n] for n in stages}
    return found | ({n: [n] for n in encoder + decoder} if layers else {})


def batch_sums(taken: Tallies, blocks: list[str], reference: Tallies | None = None) -> BatchSums:
    """The sums of one probe batch over the blocks of a part, with those of the reference if there is one."""
    return added([block_sums(taken[name], None if reference is None else reference[name]) for name in blocks])


def block_sums(tally: Tally, reference: Tally | None = None) -> BatchSums:
    """The sums of one probe batch over one block."""
    rows = tally.rows(torch.float64)
    if reference is not None:
        rows = torch.cat([rows, reference.rows(torch.float64)])
    products = (rows @ tally.weighed(rows).mT).cpu().numpy()
    sums = BatchSums(tally.counts.numpy(), tally.squares.cpu().numpy(), products)
    if reference is None:
        return sums
    return sums._replace(reference_counts=reference.counts.numpy(), reference_squares=reference.squares.cpu().numpy())


def added(each: Sequence[BatchSums]) -> BatchSums:
    """Those of several blocks of the same draws together."""
    first, *others = each
    for one in others:
        squares, theirs = first.squares + one.squares, first.reference_squares + one.reference_squares
        first = first._replace(squares=squares, products=first.products + one.products, reference_squares=theirs)
    return first


def mean_products(taken: list[Tallies], blocks: list[str], reference: list[Tallies] | None = None) -> np.ndarray:
    """Inner products `[M, M]` of the probe batches' mean gradients, or of their differences from the reference's."""
    products = torch.zeros(())
    for name in blocks:
        means = torch.stack([t[name].mean().double() for t in taken])
        if reference is not None:
            means = means - torch.stack([t[name].mean().double() for t in reference])
        products = products + (means @ means.mT).cpu()
    return products.numpy()


def noise_alone(taken: Tallies, blocks: list[str]) -> float:
    """variance_noise of one probe batch. Without its standard error, the sum over all draws is enough."""
    squares = products = 0.0
    for name in blocks:
        total = taken[name].squares.new_zeros(1, taken[name].sums.shape[1])
        for group in taken[name].sums:  # ten times as fast as sum(0, dtype=...)
            total += group
        products += float(total @ taken[name].weighed(total).mT)
        squares += float(taken[name].squares.sum())
    counts = taken[blocks[0]].counts.sum().numpy()
    return float(noise_of(counts[None], np.array([squares]), np.array([[products]]), np.ones((1, 1), bool))[0])
