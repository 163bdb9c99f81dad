"""The conformance kit checks an estimator against the contract of `estimators/base.py` and against its own tags.

`check("rloo")` or `check(MyEstimator)` gives one verdict per rule and latent family, and `python -m bench.check rloo`
prints them. The kit computes a mean exactly where the noise can be enumerated or integrated. Elsewhere it tests the
mean of many draws.
"""

import importlib
from typing import TYPE_CHECKING

from bench.check.command import main

__all__ = ["Verdict", "check", "main", "names"]

LATE = {"Verdict": "bench.check.verdict", "check": "bench.check.kit", "names": "bench.check.subject"}  # load torch

if TYPE_CHECKING:
    from bench.check.kit import check
    from bench.check.subject import names
    from bench.check.verdict import Verdict
else:

    def __getattr__(name: str) -> object:
        if name not in LATE:
            raise AttributeError(f"module 'bench.check' has no attribute {name!r}")
        return getattr(importlib.import_module(LATE[name]), name)
