"""Rows of the tables of a run."""

from tests.support.synthetic_runs import config, runs_row
from tests.support.synthetic_runs import tables as synthetic

ROW = runs_row(config("rloo", "bernoulli", 0), "rloo")


def made(**changes):
    return synthetic(ROW | changes)
