"""Damaged folders of runs, and what a command may say of them."""

from tests.support.synthetic_runs import config, runs_row
from tests.support.synthetic_runs import tables as synthetic


def whole(seed=0):
    """All tables of an ordinary run."""
    return synthetic(runs_row(config("rloo", "bernoulli", seed), "rloo"))


def one_sentence(error):
    said = str(error)
    return said.endswith(".") and len(said.splitlines()) == 1
