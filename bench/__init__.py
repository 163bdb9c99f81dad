"""Measure how noisy, how biased and how slow gradient estimators are. Importing this package loads no torch."""

from typing import Any

__version__ = "0.1.0"
__all__ = ["__version__", "compare", "estimator", "load"]


def __getattr__(name: str) -> Any:
    if name == "estimator":
        from bench.plugins import estimator

        return estimator
    if name == "load":
        from bench.frames import load

        return load
    if name == "compare":
        from bench.own import compare

        return compare
    raise AttributeError(f"module 'bench' has no attribute {name!r}")
