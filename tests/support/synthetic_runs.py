"""Run directories as a sweep would leave them, with invented but plausible numbers, for the tests of the report."""

import hashlib
import json
from pathlib import Path

import numpy as np

from bench.report.figures.catalogue import FIGURES
from bench.tables.schema import SCHEMA
from bench.tables.store import write

STEPS = (0, 100, 200, 500, 1000)
FAMILIES = ("bernoulli", "categorical", "gaussian", "vq")
# name, hyper-parameters, relative variance, relative squared bias, evaluations, relative time
ESTIMATORS = (
    ("arm", {}, 2.4, 0.0, 2, 1.5),
    ("disarm", {}, 1.3, 0.0, 2, 1.5),
    ("exact", {}, 0.0, 0.0, 4096, 60.0),
    ("gumbel_softmax", {"temperature": 0.5}, 0.15, 0.6, 1, 1.1),
    ("gumbel_softmax", {"temperature": 1.0}, 0.06, 1.4, 1, 1.1),
    ("rebar", {}, 0.5, 0.0, 3, 2.4),
    ("reinforce", {"baseline": "none"}, 30.0, 0.0, 1, 1.0),
    ("reinforce", {"baseline": "moving_average"}, 6.0, 0.0, 1, 1.02),
    ("reinforce", {"baseline": "network"}, 4.0, 0.0, 1, 1.25),
    ("reinmax", {}, 0.12, 0.25, 1, 1.15),
    ("rloo", {"k": 2}, 2.0, 0.0, 2, 1.2),
    ("rloo", {"k": 4}, 0.9, 0.0, 4, 1.5),
    ("straight_through", {}, 0.1, 1.8, 1, 1.0),
)

SOME = tuple(e for e in ESTIMATORS if e[0] in ("arm", "exact", "rloo", "straight_through"))  # five configurations
# nothing here varies a temperature, or a toy's parameter, or has six problems, or is tuned
TUNED = ("bound_vs_lr", "bound_over_temperature", "best_vs_budget")
VARIED = ("bias_vs_temperature", "variance_vs_parameter", "critical_difference", *TUNED)
DRAWN = [name for name in FIGURES if name not in VARIED]
OF_ONE = [name for name in DRAWN if name != "ratio_to_baseline"]  # of a single problem


def config(estimator: str, family: str, seed: int, **changes) -> dict:
    """A resolved config; `changes` are dotted keys with double underscores for dots."""
    full = {
        "estimator": {"_target_": f"estimators.{estimator}"},
        "latent": {"family": family, "dim": 200},
        "data": {"name": "digits", "binarisation": "dynamic", "root": "data"},
        "objective": {"kl": "analytic", "beta": 1.0},
        "train": {"steps": 1000, "lr": 0.001, "tuning_lr": 0.001, "betas": [0.9, 0.999]},
        "seed": seed,
        "seeds": {"model": seed, "data": seed},
        "name": "synthetic",
    }
    for key, value in changes.items():
        *path, leaf = key.split("__")
        node = full
        for word in path:
            node = node.setdefault(word, {})
        node[leaf] = value
    return full


def runs_row(resolved: dict, estimator: str, **changes) -> dict:
    """A row of runs with all that is required."""
    run = hashlib.sha256(json.dumps(resolved, sort_keys=True).encode()).hexdigest()[:12]
    row = {
        "run": run,
        "name": "synthetic",
        "status": "done",
        "estimator": estimator,
        "objective": "elbo",
        "unbiased": True,
    }
    row |= {"family": resolved["latent"]["family"], "seed": resolved["seed"], "step": STEPS[-1], "schema": SCHEMA}
    return row | {"started": "2026-11-20T10:00:00Z", "config": json.dumps(resolved), "device": "cpu"} | changes


def tables(row: dict, variance=1.0, bias=0.0, evaluations=1.0, time=1.0, *, reference=True) -> dict[str, list[dict]]:
    """All four tables of a run whose gradient has these relative properties; its noise is its seed's."""
    random = np.random.default_rng([row["seed"], int(row["run"], 16) % 2**32])
    key = {"run": row["run"], "seed": row["seed"]}
    offset = {"bernoulli": 0.0, "categorical": 6.0, "gaussian": 12.0, "vq": -4.0}[row["family"]]
    loss = 3.0 * np.log10(1 + variance) + 2.0 * bias - offset
    objective, gradient = [], []
    for step in STEPS:
        elbo = -95 - loss - 450 * np.exp(-step / 60) - 25 * np.exp(-step / 400) + random.normal(0, 0.5)
        for split, gap in (("train", 0.0), ("test", 1.2)):
            bound = {"elbo": elbo - gap, "elbo_se": 0.4, "iwae": elbo - gap + 3, "samples": 100}
            objective.append(
                key | {"step": step, "seconds": 2e-3 * time * step, "split": split, "examples": 1000} | bound
            )
        scale = 0.4 * np.exp(-step / 500) + 0.2
        for part, size in (("encoder", 1.0), ("latent", 0.03)):
            noise = size * scale * variance * np.exp(random.normal(0, 0.15))
            measured = {"variance_noise": noise, "variance_noise_se": noise / 20, "norm_sq": size * scale * 0.4}
            if reference:
                shift = (
                    size
                    * scale
                    * 0.4
                    * (0.3 * bias * np.exp(random.normal(0, 0.1)) + random.normal(0, 0.004 * variance + 1e-4))
                )
                measured |= {
                    "bias_sq": shift,
                    "bias_sq_se": 0.004 * variance,
                    "reference": "exact",
                    "reference_draws": 0,
                    "reference_norm_sq": size * scale * 0.4,
                }
                norm = measured["reference_norm_sq"]
                measured |= {"bias_sq_scaled": 0.8 * shift, "bias_sq_scaled_se": 0.8 * 0.004 * variance}
                measured |= {"variance_scaled": norm * noise / measured["norm_sq"], "variance_scaled_se": noise / 20}
            gradient.append(
                key | {"step": step, "estimator": row["estimator"], "trained_with": "own", "part": part} | measured
            )
    cost = []
    for what, base in (("step", 2e-3), ("gradient", 1.1e-3)):
        seconds = base * time * np.exp(random.normal(0, 0.02))
        timed = {"engine": "eager", "seconds": seconds, "valid": True, "evaluations_forward": float(evaluations)}
        cost.append({"run": row["run"], "what": what, "evaluations_backward": 0.0} | timed)
    return {"runs": [row], "objective": objective, "gradient": gradient, "cost": cost}


def place(
    root: Path,
    resolved: dict,
    *,
    directory: str | None = None,
    changes: dict | None = None,
    estimator="rloo",
    **properties,
) -> str:
    """Write one run and return its hash."""
    row = runs_row(resolved, estimator, **(changes or {}))
    write(root / (directory or row["run"]), tables(row, **properties))
    return row["run"]


def collection(root: Path, families=FAMILIES, estimators=ESTIMATORS, seeds=(0, 1, 2)) -> None:
    """Every estimator on every family and seed; one run diverged, one failed, one pair skipped, some values missing."""
    for family in families:
        for name, hyper, variance, bias, evaluations, time in estimators:
            for seed in seeds:
                resolved = config(name, family, seed, **{f"estimator__{k}": v for k, v in hyper.items()})
                row = runs_row(resolved, name, unbiased=bias == 0)
                made = tables(row, variance, bias, evaluations, time, reference=family != "gaussian")
                if name == "arm" and family in ("categorical", "gaussian", "vq"):
                    reason = f"arm does not differentiate {family} latents; it is made for bernoulli."
                    made = {"runs": [row | {"status": "skipped", "reason": reason, "step": None}]}
                elif (name, family, seed, hyper.get("baseline")) == ("reinforce", "bernoulli", 2, "none"):
                    made["runs"] = [
                        row | {"status": "diverged", "reason": "The loss was nan at step 412.", "step": 412}
                    ]
                elif (name, family, seed) == ("rebar", "vq", 1):
                    made = {"runs": [row | {"status": "failed", "reason": "RuntimeError: out of memory", "step": 17}]}
                elif (name, family) == ("disarm", "gaussian"):
                    made["cost"] = []
                elif (name, family) == ("reinmax", "categorical"):
                    for observed in made["gradient"]:
                        observed["variance_noise"] = (
                            float("nan") if observed["step"] == 200 else observed["variance_noise"]
                        )
                write(root / family / row["run"], made)
