"""Measure how noisy, how biased and how slow gradient estimators are. Importing this package loads no torch."""

import importlib
import sys
from typing import TYPE_CHECKING

from bench.called import FUNCTIONS
from bench.version import __version__
from estimator_bench import hidden

__all__ = [
    "Dataset",
    "Model",
    "Problem",
    "__version__",
    "compare",
    "estimator",
    "load",
    "measure",
    "run",
    "sweep",
    "train",
]

# Name -> the module that it comes from when it is first asked for.
LATE = {
    "Dataset": "bench.data.base",
    "Model": "bench.model.adapted",
    "Problem": "bench.problems.base",
    "compare": "bench.measure.own_cost",
    "estimator": "bench.config.plugins",
    "load": "bench.report.frames",
}

if TYPE_CHECKING:
    from bench.config.plugins import estimator
    from bench.data.base import Dataset
    from bench.measure.own_cost import compare
    from bench.model.adapted import Model
    from bench.own.measure import measure
    from bench.own.notebook import run, sweep
    from bench.own.train import train
    from bench.problems.base import Problem
    from bench.report.frames import load
else:

    def __getattr__(name: str) -> object:
        if name in FUNCTIONS:  # a package that can be called
            return importlib.import_module(f"bench.{name}")
        if name not in LATE:
            raise AttributeError(f"module 'bench' has no attribute {name!r}")
        if name != "load" and (sentence := hidden()):  # `load` needs no estimator
            raise ImportError(sentence)
        return getattr(importlib.import_module(LATE[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *LATE, *FUNCTIONS})


if sys.argv[:1] == ["-m"] and (found := hidden()):  # `python -m bench...`, while Python looks for what to run
    print(found, file=sys.stderr)
    raise SystemExit(2)
