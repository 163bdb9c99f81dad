"""The loader of configurations beside Hydra's own, and what a configuration is made of."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from hydra import initialize_config_dir
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.config_repository import ConfigRepository
from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.global_hydra import GlobalHydra
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from bench.config import plugins
from bench.config.sentences import sentence
from bench.errors import UnknownKey
from bench.files import CONF
from bench.sweep import launchers, loader, plan

HYDRA = ["hydra.verbose=false", "hydra.job.name=x", "hydra/launcher=pool", "hydra.launcher.n_jobs=2"]


class Slow(loader.Loader):
    """With the same checks, and Hydra's own way to a command and to a job."""

    load_sweep_config = ConfigLoaderImpl.load_sweep_config
    _load_configuration_impl = ConfigLoaderImpl._load_configuration_impl

    def __init__(self, path: ConfigSearchPath):
        super().__init__(path)
        self.repository = ConfigRepository(path)


@contextmanager
def both() -> Iterator[tuple[loader.Loader, Slow, DictConfig]]:
    """The loader, Hydra's own way with the same checks, and the configuration of a sweep."""
    plugins.register()
    launchers.register()
    with initialize_config_dir(str(CONF), **plugins.VERSION_BASE):
        path = GlobalHydra.instance().hydra.config_loader.get_search_path()
        fast = loader.Loader(path)
        yield fast, Slow(path), fast.load_configuration("config", HYDRA, RunMode.MULTIRUN)


def nodes(node: Any) -> tuple[Any, ...]:
    """All that a node is: value, types, flags, and the same of what it holds."""
    about = node._metadata
    content = vars(node)["_content"] if OmegaConf.is_config(node) else None
    if isinstance(content, dict):
        content = [(key, nodes(inner)) for key, inner in content.items()]
    elif isinstance(content, list):
        content = [nodes(inner) for inner in content]
    value = vars(node).get("_val")
    facts = (about.ref_type, about.object_type, about.optional, about.key, about.flags or {})
    return type(node), facts, type(value), value, content


def outcome(compose: Callable[[], DictConfig]) -> Any:
    """Every node of a configuration and the run that it is; or what is said of it."""
    try:
        cfg = compose()
    except Exception as error:
        return type(error), sentence(error)
    composed = nodes(cfg)
    try:
        return composed, plan.runs_of(cfg)
    except UnknownKey as error:
        return composed, str(error)


def compositions(monkeypatch) -> list:
    """Grows with each composition of Hydra's own loader."""
    composed, compose = [], ConfigLoaderImpl._compose_config_from_defaults_list

    def count(self, defaults, repo):
        composed.append(defaults)
        return compose(self, defaults, repo)

    monkeypatch.setattr(ConfigLoaderImpl, "_compose_config_from_defaults_list", count)
    return composed
