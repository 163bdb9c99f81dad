"""Measurement of an objective's gradient on probe batches, as rows of the table `gradient`."""

from collections.abc import Collection, Mapping

from torch import Tensor

from bench.measure.gradient.draws import take
from bench.measure.gradient.moments import statistics
from bench.measure.gradient.parts import Tallies, added, block_sums, mean_products, parts
from bench.measure.gradient.precision import PART, until_precise
from bench.measure.gradient.reference import Reference, draw_reference
from bench.model.objective import Objective
from bench.streams import own_stream
from bench.tables.rows import GradientRow


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
    named: Mapping[str, Collection[str]] | None = None,
) -> list[GradientRow]:
    """Measure the gradient's statistics: one row for each of the parts `latent`, `encoder` and `decoder`.

    With several layers there are also `latent.1`, `encoder.1` and so on.

    Args:
        objective: the objective to measure; it is not changed.
        probe: `[M, B, ...]` probe batches.
        draws: R, independent draws per probe batch; with `precision`, the fewest.
        seed: of the draws' noise.
        memory: MiB that one chunk of draws may take.
        layers: add a row for every block of coordinates, such as a layer.
        reference: the same objective under an unbiased estimator, for bias and cosine; or its gradients.
        reference_draws: draws of the reference per probe batch.
        precision: relative standard error of the encoder's variance_noise at which drawing stops.
        max_draws: per probe batch, with `precision`. If they are too few, the encoder's row has a `note`.
        named: names of further parts, each with its blocks; blocks without a gradient are left out.
    """

    def take_more(number: int) -> list[Tallies]:
        return [take(objective, x, number, memory=memory) for x in probe]

    note = None
    with own_stream(seed, "gradient"):
        if precision is None:
            taken = take_more(draws)
        else:
            taken, note = until_precise(take_more, draws, precision, max_draws)
        if isinstance(reference, Objective):
            reference = draw_reference(reference, probe, reference_draws, memory=memory)
    rows: list[GradientRow] = []
    by_block = [
        {name: block_sums(tally, reference.tallies[m][name] if reference else None) for name, tally in t.items()}
        for m, t in enumerate(taken)
    ]
    further = {part: [n for n in blocks if n in taken[0]] for part, blocks in (named or {}).items()}
    for part, blocks in (
        parts(taken[0], layers) | {part: blocks for part, blocks in further.items() if blocks}
    ).items():
        sums = [added([each[name] for name in blocks]) for each in by_block]
        means = errors = None
        if len(taken) > 1 and part.partition(".")[0] not in ("latent", "stage"):  # theirs differ from batch to batch
            means = mean_products(taken, blocks)
            errors = mean_products(taken, blocks, reference.tallies) if reference else None
        rows.append({"part": part, **statistics(sums, means, errors)})
    for row in rows:
        row |= {"batches": len(probe), "draws": int(taken[0]["latent"].counts.sum())}
        row |= {"estimator": objective.estimator.name, "note": note if row["part"] == PART else None}
        row["reference"] = None if reference is None else reference.name
        row["reference_draws"] = None if reference is None else reference.draws
        row["reference_error_sq"] = None if reference is None else reference.errors.get(row["part"])
    return rows
