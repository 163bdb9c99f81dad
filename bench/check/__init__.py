"""The conformance kit: holds any estimator to the contract of `estimators/base.py` and to its own tags.

`check("rloo")` or `check(MyEstimator)` gives one verdict per rule and latent family, and `python -m bench.check rloo`
prints them. It proves means exactly where the noise can be enumerated or integrated, and tests them with many draws
elsewhere.
"""

from bench.check.command import main
from bench.check.kit import check
from bench.check.subject import names
from bench.check.verdict import Verdict

__all__ = ["Verdict", "check", "main", "names"]
