"""Launchers of sweeps: `hydra/launcher=pool` on this machine, `slurm` and `ray` on a cluster (docs/clusters.md)."""

import sys
from types import ModuleType

from bench.sweep.serial import PLACE


def register() -> None:
    """Make the launchers known to Hydra."""
    from hydra.core.config_store import ConfigStore

    from bench.sweep.clusters import Ray, Slurm, SlurmLocal
    from bench.sweep.pool import Pool, PoolConf
    from bench.sweep.serial import Serial, SerialConf

    make_known(PLACE, Serial, Pool, Slurm, SlurmLocal, Ray)
    store = ConfigStore.instance()
    store.repo["hydra"]["launcher"].pop("ray.yaml", None)  # of Hydra's launcher: conf/hydra/launcher/ray.yaml has more
    store.store(group="hydra/launcher", name="basic", node=SerialConf, provider="bench")
    store.store(group="hydra/launcher", name="pool", node=PoolConf, provider="bench")


def make_known(place: str, *parts: type) -> None:
    """Make plugins known to Hydra, as if they were of this module, which must be in `hydra_plugins`."""
    from hydra.core.plugins import Plugins

    plugins, module = Plugins.instance(), ModuleType(place)  # now `hydra_plugins` is there, if anything is installed
    if "hydra_plugins" not in sys.modules:
        sys.modules["hydra_plugins"] = ModuleType("hydra_plugins")
        sys.modules["hydra_plugins"].__path__ = []
    sys.modules[place] = module
    for part in parts:
        part.__module__ = place
        setattr(module, part.__name__, part)
        plugins.register(part)
