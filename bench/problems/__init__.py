"""Problems beside the VAE, most with known answers: the same estimators, measurements, training and tables."""

from typing import Any

from bench.problems.base import Known, NoData, Problem
from bench.problems.bits import BernoulliBits, BernoulliCoupled
from bench.problems.gaussian import GaussianCosine, GaussianExp, GaussianQuadratic
from bench.problems.logistic import LogisticRegression
from bench.problems.tokens import Tokens

__all__ = ["PROBLEMS", "VAE", "Known", "NoData", "Problem", "problem"]

VAE = "vae"  # the name of the problem that is none of these
PROBLEMS: dict[str, type[Problem]] = {
    cls.name: cls
    for cls in (
        GaussianQuadratic,
        GaussianExp,
        GaussianCosine,
        BernoulliBits,
        BernoulliCoupled,
        LogisticRegression,
        Tokens,
    )
}


def problem(name: str, **parameters: Any) -> Problem:
    """The problem of the `problem` group of a config, in float64. Raises ValueError where a parameter cannot be."""
    return PROBLEMS[name](**parameters).double()
