"""Configurations of measurements at a shared checkpoint."""

from bench.config import plugins
from tests.support.small import run_config

RLOO = {"_target_": "estimators.rloo.RLOO", "k": 2}


def node(name: str, **hyper) -> dict:
    """The configuration of an option or preset."""
    made = plugins.presets().get(name) or plugins.registry()[name].cls
    composed = plugins.composed(name) if name in plugins.presets() else {"_target_": plugins.path(made)}
    return plugins.complete(composed | hyper)


def config(family: str = "bernoulli", estimator: dict = RLOO, **changes) -> dict:
    return run_config(family, estimator, **changes)
