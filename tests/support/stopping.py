"""How far off the variance is where `measure.precision` stops: `python -m tests.support.stopping 200 --out FILE.csv`.

Gradients of one coordinate whose variance is known. A row of the CSV is a distribution and a precision.
"""

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from bench.measure.gradient.moments import kurtosis
from bench.measure.gradient.parts import Tallies, batch_sums
from bench.measure.gradient.precision import known, until_precise
from bench.measure.gradient.tally import Tally

BATCHES, GROUPS, FIRST, MOST = 4, 32, 256, 16_384
Noise = Callable[[np.random.Generator, int], np.ndarray]


def normal(noise: np.random.Generator, size: int) -> np.ndarray:
    return noise.normal(size=size)


def lognormal(noise: np.random.Generator, size: int) -> np.ndarray:
    return noise.lognormal(0, 1.1, size)


def rare(noise: np.random.Generator, size: int) -> np.ndarray:
    """One draw in 1,000 has 60 standard deviations of the others."""
    x = noise.normal(size=size)
    return np.where(noise.random(size) < 1e-3, 60 * np.sign(x), x)


CASES: dict[str, tuple[Noise, float]] = {
    "normal": (normal, 1.0),
    "lognormal, sigma 1.1": (lognormal, float((np.exp(1.21) - 1) * np.exp(1.21))),
    "1 in 1,000 at 60 sd": (rare, 0.999 + 3.6),
}


def tallies(values: np.ndarray) -> Tallies:
    groups = torch.arange(len(values)) * min(GROUPS, len(values) // 2) // len(values)
    tally = Tally(torch.bincount(groups), torch.device("cpu"))
    tally.sums = torch.zeros(len(tally.counts), 1, dtype=torch.float64)
    tally.add_vectors(groups, torch.from_numpy(values)[:, None])
    return {"latent": tally, "encoder.x": tally}


def stopped(draw: Noise, precision: float, noise: np.random.Generator) -> tuple[bool, float, int]:
    """Whether the precision was reached, the variance found, and the draws of a probe batch."""

    def take_more(draws: int) -> list[Tallies]:
        return [{"encoder.x": tallies(draw(noise, draws))["encoder.x"]} for _ in range(BATCHES)]

    taken, note = until_precise(take_more, FIRST, precision, MOST)
    return (
        note is None,
        known([t | {"latent": t["encoder.x"]} for t in taken])[0],
        int(taken[0]["encoder.x"].counts.sum()),
    )


def table(repetitions: int, precisions: tuple[float, ...] = (0.1, 0.05, 0.02)) -> pd.DataFrame:
    rows = []
    for name, (draw, variance) in CASES.items():
        for precision in precisions:
            noise = np.random.default_rng(0)
            found = [stopped(draw, precision, noise) for _ in range(repetitions)]
            off = np.array([value / variance - 1 for reached, value, _ in found if reached])
            rows.append({
                "distribution": name, "precision": precision, "repetitions": repetitions, "reached": len(off),
                "mean_of_reached": 1 + off.mean() if len(off) else np.nan,
                "within_3_precisions": int((abs(off) <= 3 * precision).sum()),
                "median_draws": float(np.median([draws for _, _, draws in found])),
            })  # fmt: skip
    return pd.DataFrame(rows)


def kurtoses(repetitions: int, draws: tuple[int, ...] = (128, 1024, 8192)) -> pd.DataFrame:
    """The column `kurtosis` as it is measured, mean over repetitions, beside its true value."""
    true = {"normal": 3.0, "1 in 1,000 at 60 sd": (0.999 * 3 + 1e-3 * 60**4 * 1) / (0.999 + 3.6) ** 2}
    w = np.exp(1.21)
    true["lognormal, sigma 1.1"] = float(w**4 + 2 * w**3 + 3 * w**2 - 3)
    rows = []
    for name, (draw, _) in CASES.items():
        for number in draws:
            noise = np.random.default_rng(1)
            found = [kurtosis([batch_sums(tallies(draw(noise, number)), ["encoder.x"])]) for _ in range(repetitions)]
            rows.append({"distribution": name, "draws": number, "true": true[name], "measured": float(np.mean(found))})
    return pd.DataFrame(rows)


def arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """What was asked, checked."""
    parser = argparse.ArgumentParser(prog="python -m tests.support.stopping", description=__doc__)
    parser.add_argument("repetitions", type=int)
    parser.add_argument("--kurtosis", action="store_true", help="of the column kurtosis instead")
    parser.add_argument("--out", type=Path)
    return parser.parse_args(argv)


def main() -> None:
    chosen = arguments()
    found = (kurtoses if chosen.kurtosis else table)(chosen.repetitions)
    print(found.to_string(index=False))
    if chosen.out:
        found.to_csv(chosen.out, index=False, float_format="%.4g")


if __name__ == "__main__":
    main()
