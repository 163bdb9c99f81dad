"""Tables of shared checkpoints."""

from bench.tables.store import write
from tests.support.synthetic_runs import STEPS, config, runs_row, tables

ESTIMATORS = {"arm": 2.0, "rloo": 1.0, "straight_through": 0.1}


def shared(root, estimator, seed=0, step=1000, trained_with="rloo", status="done", **changes):
    """One estimator at one shared checkpoint; `changes` as in `config`."""
    origin = {"trained_with": trained_with, "step": step, "digest": f"{seed}{step}", "tuning_steps": 100}
    origin["trajectory"] = {"estimator": {"k": 4}, "train": {"lr": 0.001}, "seeds": {"model": seed}}
    row = runs_row(config(estimator, "bernoulli", seed, probe=origin, **changes), estimator, status=status)
    made = tables(row, variance=ESTIMATORS[estimator])
    gradient = [g | {"trained_with": trained_with, "step": step} for g in made["gradient"] if g["step"] == STEPS[-1]]
    done = {"gradient": gradient, "cost": made["cost"]} if status == "done" else {}
    write(root / row["run"], {"runs": [row | {"step": step}], **done})
