"""Launchers of sweeps: `hydra/launcher=pool` on this machine, `slurm` and `ray` on a cluster (docs/clusters.md)."""

import sys
from types import ModuleType

from bench.sweep.serial import PLACE


def register() -> None:
    """Make the launchers known to Hydra, as if they were modules of `hydra_plugins`."""
    from hydra.core.config_store import ConfigStore
    from hydra.core.plugins import Plugins

    from bench.sweep.clusters import Ray, Slurm, SlurmLocal
    from bench.sweep.pool import Pool, PoolConf
    from bench.sweep.serial import Serial, SerialConf

    plugins, module = Plugins.instance(), ModuleType(PLACE)  # now `hydra_plugins` is there, if anything is installed
    if "hydra_plugins" not in sys.modules:
        sys.modules["hydra_plugins"] = ModuleType("hydra_plugins")
        sys.modules["hydra_plugins"].__path__ = []
    sys.modules[PLACE] = module
    for launcher in (Serial, Pool, Slurm, SlurmLocal, Ray):
        launcher.__module__ = PLACE
        setattr(module, launcher.__name__, launcher)
        plugins.register(launcher)
    store = ConfigStore.instance()
    store.repo["hydra"]["launcher"].pop("ray.yaml", None)  # of Hydra's launcher: conf/hydra/launcher/ray.yaml has more
    store.store(group="hydra/launcher", name="basic", node=SerialConf, provider="bench")
    store.store(group="hydra/launcher", name="pool", node=PoolConf, provider="bench")
