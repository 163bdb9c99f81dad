"""How often a report says that equal estimators differ: `python -m tests.support.false_statements 2000 --out FILE.csv`.

A row is a case: so many estimators of equal truth, measured in so many seeds. `false` is how often at least one of the
estimators is said to be separated from the lowest measured, `covered` how often the interval of the lowest holds the
truth; `false_single` and `covered_single` are those of a paired t test and a Student-t interval that are not corrected.
"""

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from bench.report.collection.pairs import paired_t
from bench.report.collection.simultaneous import by_draws, by_seeds, not_negative
from bench.report.collection.statistics import t_interval

ESTIMATORS, SEEDS = (2, 5, 12, 30), (3, 5, 10)
Draw = Callable[[np.random.Generator, int, int], np.ndarray]


def equal(random: np.random.Generator, m: int, n: int) -> np.ndarray:
    """Logs of m estimators `[m, n]`, all of truth 0, with what the seeds have in common."""
    return random.normal(size=(m, n)) + 2 * random.normal(size=n)


def heavy(random: np.random.Generator, m: int, n: int) -> np.ndarray:
    """The same with heavy tails: Student's t with 4 degrees of freedom."""
    return random.standard_t(4, (m, n)) + 2 * random.normal(size=n)


def missing(random: np.random.Generator, m: int, n: int) -> np.ndarray:
    """The same with a tenth of the values missing, from the second seed on."""
    values = equal(random, m, n)
    values[:, 1:][random.random((m, n - 1)) < 0.1] = np.nan
    return values


def spread(random: np.random.Generator, m: int, n: int) -> np.ndarray:
    """The same with a spread that grows elevenfold from the first estimator to the last."""
    return random.normal(size=(m, n)) * np.exp(np.linspace(-1.2, 1.2, m))[:, None] + 2 * random.normal(size=n)


CASES: dict[str, Draw] = {"equal": equal, "heavy tails": heavy, "missing values": missing, "unequal spread": spread}


def over_seeds(draw: Draw, m: int, n: int, repetitions: int, random: np.random.Generator) -> dict[str, float]:
    """The rates of a case in which the seeds are the sample."""
    counts = np.zeros(4)
    for _ in range(repetitions):
        values = draw(random, m, n)
        found = by_seeds(values)
        first = found.order()[0]
        single = paired_t(values[first] - np.delete(values, first, 0))
        own = t_interval(values[first])
        counts += (
            found.separated[first].any(),
            abs(found.mean[first]) <= found.half[first],
            ((single["low"] > 0) | (single["high"] < 0)).any(),
            own.low <= 0 <= own.high,
        )
    return dict(zip(("false", "covered", "false_single", "covered_single"), counts / repetitions, strict=True))


def over_draws(truth: float, m: int, repetitions: int, random: np.random.Generator) -> dict[str, float]:
    """The rates for a squared bias, in units of its known error, as the page compares it."""
    counts = np.zeros(4)
    for _ in range(repetitions):
        raw = truth + random.normal(size=m)
        mean, deviation = not_negative(raw, np.ones(m))
        found = by_draws(mean[:, None], deviation[:, None])
        first = found.order()[0]
        low, high = max(mean[first] - found.half[first], 0), mean[first] + found.half[first]
        single = np.abs(raw - raw[first]) > 1.96 * np.sqrt(2)
        counts += found.separated[first].any(), low <= truth <= high, single.any(), abs(raw[first] - truth) <= 1.96
    return dict(zip(("false", "covered", "false_single", "covered_single"), counts / repetitions, strict=True))


def arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """The parsed command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.support.false_statements", description=__doc__)
    parser.add_argument("repetitions", type=int)
    parser.add_argument("--out", type=Path, help="a CSV file")
    return parser.parse_args(argv)


def main() -> None:
    options, rows, random = arguments(), [], np.random.default_rng(0)
    for name, draw in CASES.items():
        for m in ESTIMATORS:
            for n in SEEDS:
                about = {"case": name, "sample": "seeds", "estimators": m, "seeds": n}
                rows.append(about | over_seeds(draw, m, n, options.repetitions, random))
    for truth in (0.0, 5.0):
        for m in ESTIMATORS:
            about = {"case": f"squared bias of {truth:g} errors", "sample": "draws", "estimators": m, "seeds": 1}
            rows.append(about | over_draws(truth, m, options.repetitions, random))
    table = pd.DataFrame(rows).assign(repetitions=options.repetitions)
    print(table.to_string(index=False))
    if options.out:
        table.to_csv(options.out, index=False, float_format="%.6g")


if __name__ == "__main__":
    main()
