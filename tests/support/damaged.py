"""Damaged folders of runs, and what a command may say of them."""

from tests.support.synthetic_runs import config, runs_row
from tests.support.synthetic_runs import tables as synthetic


def whole(seed=0):
    """All tables that a run may have."""
    run = runs_row(config("rloo", "bernoulli", seed), "rloo")
    used = {"step": 0, "split": "test", "part": "stage.1", "perplexity": 3.0, "usage": 0.5}
    return synthetic(run) | {"choices": [{"run": run["run"], "seed": seed} | used]}


def one_sentence(error):
    said = str(error)
    return said.endswith(".") and len(said.splitlines()) == 1
