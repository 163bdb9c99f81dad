"""Checks of what Hydra composes, made once for all jobs of a sweep, before anything is written or started."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from hydra._internal import hydra as commands
from hydra.core.plugins import Plugins
from hydra.experimental.callback import Callback
from hydra.plugins.launcher import Launcher
from hydra.plugins.sweeper import Sweeper
from hydra.types import RunMode
from omegaconf import OmegaConf

from bench.config.identity import flatten
from bench.config.prepare import check_keys
from bench.config.rules import RULES
from bench.config.written import ENVIRONMENT, PLACES, expand_home
from bench.errors import BadInput, nearest
from bench.sweep.composing import Composer

if TYPE_CHECKING:
    from omegaconf import DictConfig

OF_THE_SWEEP = ("name", "output", "sweep")  # of a sweep as a whole


class Loader(Composer):
    """Hydra's loader. It refuses launchers, sweepers and callbacks of other kinds, and expands ~ in paths."""

    def load_configuration(
        self,
        config_name: str | None,
        overrides: list[str],
        run_mode: RunMode,
        from_shell: bool = True,
        validate_sweep_overrides: bool = True,
    ) -> "DictConfig":
        """As Hydra's. Raises BadInput, with one sentence."""
        cfg = super().load_configuration(config_name, overrides, run_mode, from_shell, validate_sweep_overrides)
        self._check_parts(cfg.hydra)
        if self.anew or any("oc.env" in override for override in overrides):
            _check_environment(cfg)
        if cfg.hydra.job.chdir:
            raise BadInput("hydra.job.chdir=true would move the places of data and runs; choose them with output.")
        expand_home(cfg)
        if run_mode == RunMode.MULTIRUN:
            _check_shared(cfg)
        return cfg

    def load_values(self, master_config: "DictConfig", overrides: list[str]) -> "DictConfig":
        """As `load_sweep_config`, or the same without Hydra's own part, which half of the time goes into."""
        with suppress(Exception):  # the whole says what is wrong
            cfg = None if any("oc.env" in override for override in overrides) else self.bare(master_config, overrides)
            if cfg is not None:
                expand_home(cfg)
                return cfg
        return self.load_sweep_config(master_config, overrides)

    def _check_parts(self, hydra: "DictConfig") -> None:
        """Raise BadInput unless launcher, sweeper and callbacks are of their kinds; nothing is imported for it."""
        known: dict[str, Any] = Plugins.instance().class_name_to_class
        for part, kind in (("launcher", Launcher), ("sweeper", Sweeper)):
            target = _target(hydra[part])
            if not issubclass(known.get(target, object), kind):
                options = nearest("", self.get_group_options(f"hydra/{part}"))
                raise BadInput(f"hydra.{part}._target_={target} is no {part}; choose hydra/{part}=<name>: {options}")
        size = hydra.sweeper.get("max_batch_size")
        if isinstance(size, int) and size < 1:
            raise BadInput(f"hydra.sweeper.max_batch_size needs a whole number, 1 or more; got {size}.")
        for name, node in hydra.callbacks.items():
            _check_callback(f"hydra.callbacks.{name}", _target(node))


def _check_environment(cfg: "DictConfig") -> None:
    """Raise BadInput where the value of an environment variable would be written to the tables, paths excepted."""
    plain: Any = OmegaConf.to_container(cfg, resolve=False)
    for key, value in flatten({name: node for name, node in plain.items() if name != "hydra"}):
        if key not in PLACES and ENVIRONMENT.search(str(value)):
            raise BadInput(
                f"{key} takes a variable of the environment, which may be a secret, and every value of a configuration "
                f"is recorded; write the value itself (only {', '.join(PLACES)} may take one)."
            )


def _target(node: Any) -> str:
    return str(node.get("_target_")) if OmegaConf.is_dict(node) else str(node)


def _check_callback(key: str, target: str) -> None:
    from bench.config.named import named

    try:
        found = named(target)
    except Exception:  # whatever the module does on import is its own fault
        found = None
    if not isinstance(found, type) or not issubclass(found, Callback):
        raise BadInput(f"{key}._target_={target} is no callback of Hydra's; hydra/callbacks=<name> has those of here.")


def _check_shared(cfg: "DictConfig") -> None:
    """Raise BadInput where no job of the sweep could run, whatever its overrides are."""
    from bench.run.ending import require_writable

    shared = {key: cfg[key] for key in OF_THE_SWEEP if key in cfg}
    plain = {k: OmegaConf.to_container(v, resolve=True) if OmegaConf.is_config(v) else v for k, v in shared.items()}
    values = dict(flatten(plain))
    check_keys(values, {key: rule for key, rule in RULES.items() if key.partition(".")[0] in OF_THE_SWEEP})
    require_writable(Path(values["output"]) / values["name"])


@contextmanager
def checked() -> Iterator[None]:
    """Inside, Hydra composes with `Loader`."""
    with patch.object(commands, "ConfigLoaderImpl", Loader):
        yield


def at_home(argument: str) -> str:
    """The argument with the home folder for ~ in the value of a place, where Hydra's grammar has no such character."""
    key, sign, value = argument.partition("=")
    if not sign or key.lstrip("+") not in PLACES:
        return argument
    return key + re.sub(r"(?<=[=,])~(?=[/,]|$)", lambda _: os.path.expanduser("~"), sign + value)
