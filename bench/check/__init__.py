"""The conformance kit checks an estimator against the contract of `estimators/base.py` and against its own tags.

`check("rloo")` or `check(MyEstimator)` gives one verdict per rule and latent family, and `python -m bench.check rloo`
prints them. The kit computes a mean exactly where the noise can be enumerated or integrated. Elsewhere it tests the
mean of many draws.
"""

from bench.check.command import main
from bench.check.kit import check
from bench.check.subject import names
from bench.check.verdict import Verdict

__all__ = ["Verdict", "check", "main", "names"]
