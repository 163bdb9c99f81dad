"""How often the intervals of table `gradient` hold the truth: `python -m tests.support.error_bars 200 --out FILE.csv`.

A VAE with a latent small enough for the exact gradient is measured again and again with fresh noise. The truth is the
exact gradient's where there is one, else that of 128 times the draws.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from scipy import stats

from bench.config.nodes import path
from bench.config.plugins import complete, registry
from bench.measure.gradient.draws import GROUPS
from bench.measure.gradient.reference import draw_reference
from bench.measure.gradient.rows import measure
from bench.run.experiment import Experiment
from tests.support.small import run_config

CASES = (("bernoulli", "rloo"), ("bernoulli", "straight_through"), ("bernoulli", "disarm"), ("categorical", "rebar"),
         ("categorical", "st_gumbel_softmax"), ("vq", "vq_straight_through"))  # fmt: skip
STATISTICS = ("variance_noise", "norm_sq", "snr", "bias_sq", "cosine", "mse")
LATENTS = {"bernoulli": {"dim": 8}, "categorical": {"dim": 4, "categories": 4}, "vq": {"positions": 4}}  # 256 states
DRAWS = 128


def coverage(family: str, name: str, repetitions: int) -> list[dict]:
    """A row for each part and statistic: how often |estimate - truth| is within t standard errors, nominally 95 %."""
    estimator = complete({"_target_": path(registry()[name].cls)})
    sizes = {"latent": LATENTS[family], "model": {"hidden": [64]}, "measure": {"batch_size": 20}}
    experiment = Experiment(run_config(family, estimator, **sizes))
    objective, probe = experiment.objective, experiment.probe
    assert experiment.reference is not None
    reference = draw_reference(experiment.reference, probe, 1)  # exact
    times = [of_parts(measure(objective, probe, DRAWS, seed=s, reference=reference)) for s in range(repetitions)]
    truth = of_parts(measure(objective, probe, 128 * DRAWS, seed=10**6, reference=reference))
    factor, rows = stats.t.ppf(0.975, GROUPS - 1), []
    for part in ("latent", "encoder", "decoder"):
        for statistic in STATISTICS:
            values = np.array([row[part][statistic] for row in times])
            errors = np.array([row[part][f"{statistic}_se"] for row in times])
            known = truth[part][statistic]
            if experiment.estimator.unbiased:
                known = {"bias_sq": 0.0, "cosine": 1.0}.get(statistic, known)
            held = np.abs(values - known) <= factor * errors
            rows.append(
                {"family": family, "estimator": name, "part": part, "statistic": statistic, "truth": known,
                 "draws": DRAWS, "batches": len(probe), "repetitions": repetitions, "coverage": held.mean(),
                 "above": (values - known > factor * errors).mean(), "kurtosis": truth[part]["kurtosis"]}
            )  # fmt: skip
    return rows


def of_parts(rows: list[dict]) -> dict[str, dict]:
    return {row["part"]: row for row in rows}


def arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """The parsed command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.support.error_bars", description=__doc__)
    parser.add_argument("repetitions", type=int)
    parser.add_argument("--out", type=Path, help="a CSV file")
    return parser.parse_args(argv)


if __name__ == "__main__":
    options, found = arguments(), []
    torch.set_num_threads(1)
    for case in CASES:
        found += coverage(*case, options.repetitions)
        last = pd.DataFrame(found[-18:])
        print(last.pivot(index="statistic", columns="part", values="coverage").round(3).to_string(), *case, flush=True)
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        pd.DataFrame(found).to_csv(options.out, index=False, float_format="%.6g")
