"""Drawing until the variance is known to a given relative standard error."""

import math
from collections.abc import Callable

from bench.measure.gradient.moments import kurtosis, statistics
from bench.measure.gradient.parts import Tallies, batch_sums, parts

PART = "encoder"  # whose variance_noise is to be known
FEWEST = 4096  # draws over all probe batches; a rarer event may cause most of the variance
SPREAD = 2.0  # combined standard errors by which two independent halves may differ


def until_precise(
    take_more: Callable[[int], list[Tallies]], draws: int, precision: float, max_draws: int
) -> tuple[list[Tallies], str | None]:
    """Double the draws of every probe batch until the relative standard error of the encoder's variance_noise is at
    most `precision`, or there are `max_draws`.

    Stopping when the variance looks well known favours samples without outliers. So there are at least `FEWEST` draws,
    and the precision counts as reached only if as many further, independent draws are as precise and agree within
    `SPREAD` standard errors. `tests/support/stopping.py` measures how often that is right. The number of draws depends
    on the draws alone, so a seed repeats it.

    Args:
        take_more: takes a number of draws per probe batch and returns the tallies of each batch.
        draws: of the first round, per probe batch.
        precision: above 0.
        max_draws: per probe batch.

    Returns:
        The tallies, and a sentence if the precision was not reached, else None.
    """
    taken = take_more(draws)
    while True:
        value, error = known(taken)
        if not value:
            return taken, None  # no noise
        reached = error <= precision and draws * len(taken) >= FEWEST
        if draws >= max_draws:
            return taken, _missed(taken, error, precision, draws)
        further = take_more(more := min(draws, max_draws - draws))
        again, its_error = known(further)
        agrees = abs(value - again) <= SPREAD * math.hypot(error * value, its_error * again)
        for tallies, new in zip(taken, further, strict=True):
            for name, tally in tallies.items():
                tally.merge(new[name])
        confirmed = reached and agrees and its_error <= precision * math.sqrt(draws / more)
        draws += more
        if confirmed:
            return taken, None


def known(taken: list[Tallies]) -> tuple[float, float]:
    """The encoder's variance_noise, and its relative standard error, which is infinite if it cannot be computed."""
    found = statistics([batch_sums(tallies, parts(tallies, False)[PART]) for tallies in taken], None)
    value = found["variance_noise"]
    error = found["variance_noise_se"] / value if value else 0.0
    return value, math.inf if math.isnan(error) else error


def _missed(taken: list[Tallies], error: float, precision: float, draws: int) -> str:
    if error <= precision:
        return (
            f"variance_noise of the {PART} looks known to {error:.2g} after {draws} draws, the most allowed, but is "
            f"not confirmed: that takes {FEWEST} draws over all probe batches, and as many again (measure.max_draws)."
        )
    tails = kurtosis([batch_sums(tallies, parts(tallies, False)[PART]) for tallies in taken])
    return (
        f"variance_noise of the {PART} is known to {error:.2g} after {draws} draws, the most allowed, and not to "
        f"{precision:g}: its kurtosis is {tails:.3g}, and about {math.ceil(draws * (error / precision) ** 2)} draws "
        "would do (measure.max_draws)."
    )
