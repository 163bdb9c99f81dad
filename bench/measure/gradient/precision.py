"""As many draws as it takes to know the variance to a given relative standard error."""

import math
from collections.abc import Callable

from bench.measure.gradient.moments import kurtosis, statistics
from bench.measure.gradient.parts import Tallies, batch_sums, parts

PART = "encoder"  # whose variance_noise is to be known


def until_precise(
    take_more: Callable[[int], list[Tallies]], draws: int, precision: float, max_draws: int
) -> tuple[list[Tallies], str | None]:
    """Double the draws of every probe batch until the relative standard error of the encoder's variance_noise is at
    most `precision`, or there are `max_draws`: the tallies, and a sentence where the precision was not reached.

    How many are drawn depends on nothing but the draws themselves, so a seed repeats it. To stop where the variance
    looks well known favours samples that have not met their outliers yet: with heavy tails, a large `kurtosis`, a
    precision that was reached early may be too good to be true.

    Args:
        take_more: takes a number of draws per probe batch and gives the tallies of each batch.
        draws: of the first round.
        precision: above 0.
        max_draws: per probe batch.
    """
    taken = take_more(draws)
    while not (error := relative_error(taken)) <= precision and draws < max_draws:
        more = min(draws, max_draws - draws)
        for tallies, further in zip(taken, take_more(more), strict=True):
            for name, tally in tallies.items():
                tally.merge(further[name])
        draws += more
    return taken, None if error <= precision else _missed(taken, error, precision, draws)


def relative_error(taken: list[Tallies]) -> float:
    """Standard error of the encoder's variance_noise as a fraction of it; 0 where there is no noise, infinite where it
    cannot be had."""
    found = statistics([batch_sums(tallies, parts(tallies, False)[PART]) for tallies in taken], None)
    if not found["variance_noise"]:
        return 0.0
    error = found["variance_noise_se"] / found["variance_noise"]
    return math.inf if math.isnan(error) else error


def _missed(taken: list[Tallies], error: float, precision: float, draws: int) -> str:
    tails = kurtosis([batch_sums(tallies, parts(tallies, False)[PART]) for tallies in taken])
    return (
        f"variance_noise of the {PART} is known to {error:.2g} after {draws} draws, the most allowed, and not to "
        f"{precision:g}: its kurtosis is {tails:.3g}, and about {math.ceil(draws * (error / precision) ** 2)} draws "
        "would do (measure.max_draws)."
    )
