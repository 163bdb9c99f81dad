"""How the runs of a configuration ended: what its means are over, and what they leave out."""

from typing import TYPE_CHECKING, Any

from bench.report.collection.collect import UNIT
from bench.report.collection.once import once

if TYPE_CHECKING:
    import pandas as pd

LOST = ("failed", "diverged")  # a run that its configuration owes; a skipped one was never possible


def incomplete(compared: "pd.DataFrame") -> "pd.Series":
    """Whether a row of the comparison has runs that failed or diverged, or a run without a finite variance."""
    unmeasured = compared.variance_noise_encoder_n < compared.seeds
    return (compared[list(LOST)].sum(axis=1) > 0) | (unmeasured & (compared.variance_noise_encoder_n > 0))


def lost_of(row: Any) -> str:
    """`2 of 5 runs diverged` of a row with a count for each status; empty where every run is done."""
    counts = {status: int(getattr(row, status)) for status in LOST}
    total = int(row.done) + sum(counts.values())
    return ", ".join(f"{n} of {total} runs {status}" for status, n in counts.items() if n)


def remarks_of(row: Any) -> str:
    """What stands beside the name of a row of the comparison: the runs it lost, and that its code was not one."""
    return ", ".join(filter(None, [lost_of(row), mixture(row.codes)]))


def mixture(codes: float) -> str:
    """`runs made by 2 versions of the code`; empty where one made all."""
    return f"runs made by {codes:.0f} versions of the code" if codes > 1 else ""


def codes_of(units: "pd.DataFrame") -> int:
    """How many versions of the code made the runs that are done; those that do not say count as one."""
    return int(units.code[units.status == "done"].nunique(dropna=False))


@once
def mixed(units: "pd.DataFrame") -> dict[Any, str]:
    """`mixture` of every configuration that more than one version of the code made, by its panel and label."""
    found = {key: mixture(codes_of(of)) for key, of in units.groupby(UNIT)}
    return {key: words for key, words in found.items() if words}


@once
def lost(units: "pd.DataFrame") -> dict[Any, str]:
    """`lost_of` of every configuration, by its panel and label; those without lost runs are left out."""
    counts = units.groupby(UNIT).status.value_counts().unstack(fill_value=0)
    counts = counts.reindex(columns=["done", *LOST], fill_value=0)
    found = {row.Index: lost_of(row) for row in counts.itertuples()}
    return {key: words for key, words in found.items() if words}
