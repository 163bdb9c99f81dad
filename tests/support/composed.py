"""A config as the command composes it."""

from copy import deepcopy
from functools import cache

from hydra import compose, initialize_config_dir
from omegaconf import DictConfig, OmegaConf

from bench.config import plugins
from bench.files import CONF


def composed(*overrides: str) -> DictConfig:
    """With every estimator of the registry as an option; nothing is resolved or checked."""
    plugins.register()
    with initialize_config_dir(str(CONF), **plugins.VERSION_BASE):
        return compose("config", list(overrides))


def resolved(*overrides):
    return deepcopy(_resolved(*overrides))


@cache
def _resolved(*overrides):
    plugins.register()
    with initialize_config_dir(str(CONF), **plugins.VERSION_BASE):
        cfg = compose("config", list(overrides), return_hydra_config=True)
    config = {key: value for key, value in OmegaConf.to_container(cfg, resolve=False).items() if key != "hydra"}
    return OmegaConf.to_container(OmegaConf.create(config), resolve=True)
