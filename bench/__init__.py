"""Measure how noisy, how biased and how slow gradient estimators are. Importing this package loads no torch."""

from typing import Any

from bench.version import __version__

__all__ = ["__version__", "compare", "estimator", "load"]


def __getattr__(name: str) -> Any:
    if name == "estimator":
        from bench.config.plugins import estimator

        return estimator
    if name == "load":
        from bench.report.frames import load

        return load
    if name == "compare":
        from bench.measure.own_cost import compare

        return compare
    raise AttributeError(f"module 'bench' has no attribute {name!r}")
