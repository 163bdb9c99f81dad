"""A config as the command composes it."""

from hydra import compose, initialize_config_dir
from omegaconf import DictConfig

from bench.config import plugins
from bench.files import CONF


def composed(*overrides: str) -> DictConfig:
    """With every estimator of the registry as an option; nothing is resolved or checked."""
    plugins.register()
    with initialize_config_dir(str(CONF), **plugins.VERSION_BASE):
        return compose("config", list(overrides))
