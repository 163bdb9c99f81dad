"""Gradient draws of an objective on probe batches, as rows of the table `gradient`."""

from typing import NamedTuple

from torch import Tensor

from bench.measure.gradient.draws import take
from bench.measure.gradient.moments import statistics
from bench.measure.gradient.parts import Tallies, batch_sums, mean_products, parts
from bench.measure.gradient.precision import PART, until_precise
from bench.model.objective import Objective
from bench.streams import own_stream


class Reference(NamedTuple):
    """An unbiased estimator's gradients on the probe batches, drawn once and for all that is compared with them."""

    name: str
    draws: int  # per probe batch
    tallies: list[Tallies]  # one for each probe batch


def measure(
    objective: Objective,
    probe: Tensor,
    draws: int,
    *,
    seed: int,
    memory: float = 256,
    layers: bool = False,
    reference: Objective | Reference | None = None,
    reference_draws: int = 4096,
    precision: float | None = None,
    max_draws: int = 16384,
) -> list[dict]:
    """One row of statistics per part: `latent`, `encoder`, `decoder`, and each block of coordinates with `layers`.

    Args:
        objective: what is measured, left as it is.
        probe: `[M, B, X]` probe batches.
        draws: R, independent draws per probe batch; where `precision` is given, the fewest.
        seed: of the draws' noise.
        memory: MiB that one chunk of draws may take.
        reference: the same objective under an unbiased estimator, for bias and cosine; or what was drawn of it.
        reference_draws: its draws per probe batch.
        precision: relative standard error of the encoder's variance_noise at which drawing stops.
        max_draws: per probe batch, where `precision` is given. Where they are too few, the encoder's row has a `note`.
    """

    def take_more(number: int) -> list[Tallies]:
        return [take(objective, x, number, memory=memory) for x in probe]

    note = None
    with own_stream(seed):
        if precision is None:
            taken = take_more(draws)
        else:
            taken, note = until_precise(take_more, draws, precision, max_draws)
        if isinstance(reference, Objective):
            reference = draw_reference(reference, probe, reference_draws, memory=memory)
    rows = []
    for part, blocks in parts(taken[0], layers).items():
        sums = [batch_sums(t, blocks, reference.tallies[m] if reference else None) for m, t in enumerate(taken)]
        rows.append({"part": part, **statistics(sums, None if part == "latent" else mean_products(taken, blocks))})
    for row in rows:
        row |= {"batches": len(probe), "draws": int(taken[0]["latent"].counts.sum())}
        row |= {"estimator": objective.estimator.name, "note": note if row["part"] == PART else None}
        row["reference"] = None if reference is None else reference.name
        row["reference_draws"] = None if reference is None else reference.draws
    return rows


def draw_reference(objective: Objective, probe: Tensor, draws: int, *, memory: float = 256) -> Reference:
    """Draw a reference on `probe [M, B, X]` from the present random stream; 0 draws are told where it has no noise."""
    tallies = [take(objective, x, draws, memory=memory) for x in probe]
    estimator = objective.estimator
    return Reference(estimator.name, 0 if estimator.noiseless else draws, tallies)
