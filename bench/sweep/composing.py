"""Hydra's loader for sweeps of thousands of jobs: what jobs have in common is composed once.

A job's configuration is what its choices of groups compose, and then its values, set one after the other. No value
changes which groups are chosen, so that jobs with the same choices share the first step, in which all the time goes.
"""

import copy
import pickle
from collections import OrderedDict
from collections.abc import Callable, Sequence
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any

from hydra._internal.config_loader_impl import ConfigLoaderImpl, get_overrides_dirname
from hydra._internal.config_repository import ConfigRepository
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import ConfigCompositionException
from hydra.types import RunMode
from omegaconf import OmegaConf

from bench.errors import BadInput
from bench.sweep.alike import Alike, Parts, line
from bench.sweep.payload import packed

if TYPE_CHECKING:
    from hydra.core.config_search_path import ConfigSearchPath
    from omegaconf import DictConfig

HELD = 512  # compositions, each 17 kB, and as much with the values that its jobs share
MISSING = "You must specify"  # of a choice, which a sweep may make
LOCAL = ("_job", "_first", "anew", "held", "_alike", "_is_group")  # of a loader in its own process


class Repository(ConfigRepository):
    """Hydra's own. Every composition takes a deep copy of it, to give the copy other sources; a shallow one will do."""

    def __deepcopy__(self, memo: dict[int, Any]) -> "Repository":
        return copy.copy(self)


class Composer(ConfigLoaderImpl):
    """Hydra's own loader, in a fiftieth of its time for jobs whose choices of groups it has composed before, and in
    half of it for a command, which Hydra composes once for its mode and then again.

    Attributes:
        anew: whether the choices of what was composed last were not among those of before.
    """

    def __init__(self, config_search_path: "ConfigSearchPath"):
        super().__init__(config_search_path)
        self.repository = Repository(config_search_path)
        self._forget()

    def _forget(self) -> None:
        self._job, self.anew = False, True
        self._first: tuple[tuple[str | None, ...], DictConfig] | None = None
        self.held: OrderedDict[tuple[str | None, ...], bytes] = OrderedDict()
        self._alike: dict[tuple[str | None, ...], Alike] = {}
        self._is_group: dict[tuple[str | None, ...], Callable[[str], bool]] = {}

    def __getstate__(self) -> dict[str, Any]:
        """Without what is held: some launchers send the loader with every job."""
        return {name: value for name, value in self.__dict__.items() if name not in LOCAL}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__ |= state
        self._forget()

    def load_sweep_config(self, master_config: "DictConfig", sweep_overrides: list[str]) -> "DictConfig":
        """The configuration of one job, equal in everything to that of Hydra's own loader."""
        self._job = True
        try:
            return super().load_sweep_config(master_config, sweep_overrides)
        finally:
            self._job = False

    def bare(self, master_config: "DictConfig", overrides: Sequence[str]) -> "DictConfig | None":
        """The configuration of one job without Hydra's own part, in half of the time; None where nothing is known of
        the job, so that the whole must be composed."""
        config_name = master_config.hydra.job.config_name
        parts = self._parts(config_name, [*master_config.hydra.overrides.hydra, *overrides])
        alike = parts and self._alike.get((config_name, *parts.choices))
        cfg = alike.bare(parts) if alike and parts else None
        if cfg is not None:
            OmegaConf.copy_cache(from_config=master_config, to_config=cfg)  # as with the whole
        return cfg

    def _load_configuration_impl(
        self,
        config_name: str | None,
        overrides: list[str],
        run_mode: RunMode,
        from_shell: bool = True,
        validate_sweep_overrides: bool = True,
    ) -> "DictConfig":
        def whole(some: list[str]) -> "DictConfig":
            return super(Composer, self)._load_configuration_impl(
                config_name, some, run_mode, from_shell, validate_sweep_overrides
            )

        asked, first = self._first or ((), None)
        self._first, self.anew = None, True
        if not validate_sweep_overrides:  # it asks for the mode of a command
            try:
                cfg = super()._load_configuration_impl(config_name, overrides, RunMode.RUN, from_shell, False)
                self._first = (config_name, *overrides), cfg
                return cfg
            except ConfigCompositionException as error:
                if MISSING not in str(error):
                    raise
        elif first is not None and (config_name, *overrides) in (asked, (*asked, *overrides[-1:])):
            self.validate_sweep_overrides_legal(list(map(parsed, overrides)), run_mode, from_shell)
            return _with_mode(first, overrides[len(asked) - 1 :])
        parts = self._parts(config_name, overrides) if self._job else None
        if parts is None:
            return whole(overrides)
        key = (config_name, *parts.choices)
        if key in self.held:
            self.held.move_to_end(key)
            self.anew = False
        else:
            composed = whole(parts.choices)
            try:
                self.held[key] = packed(composed)
            except (pickle.PicklingError, AttributeError, TypeError, BadInput):  # a node's type of a plugin's own
                return whole(overrides)
            self._alike[key] = Alike(self.held[key], self._apply_overrides_to_config)
            if len(self.held) > HELD:
                del self._alike[self.held.popitem(last=False)[0]]
        cfg = self._alike[key].job(parts)
        form = cfg.hydra.job.config.override_dirname
        cfg.hydra.job.override_dirname = get_overrides_dirname(
            overrides=parts.task, kv_sep=form.kv_sep, item_sep=form.item_sep, exclude_keys=form.exclude_keys
        )
        return cfg

    def _parts(self, config_name: str | None, overrides: Sequence[str]) -> Parts | None:
        """What a job is made of; None where a value of Hydra's own is set after one of the configuration's."""
        each = list(map(parsed, overrides))
        hydra = [override for override in each if override.is_hydra_override()]
        is_group = self._groups(config_name, list(map(line, hydra)))
        parts = Parts([], [], [override for override in each if not override.is_hydra_override()])
        for override in each:
            if override.is_sweep_override() or override.key_or_group == "hydra":
                return None  # Hydra refuses the one, and the other may change what all depends on
            value = isinstance(override.value(), dict) or not is_group(override.key_or_group)
            if value and not override.is_hydra_override():
                parts.values.append(override)
            elif value and parts.values:
                return None
            else:
                parts.choices.append(line(override))
        return parts

    def _groups(self, config_name: str | None, hydra: list[str]) -> Callable[[str], bool]:
        """Whether there is a group of a name; the places that are searched depend on Hydra's own overrides."""
        key = (config_name, *hydra)
        if key not in self._is_group:
            _, repository = self._parse_overrides_and_create_caching_repo(config_name, hydra)
            self._is_group[key] = cache(repository.group_exists)
        return self._is_group[key]


def _with_mode(cfg: "DictConfig", mode: list[str]) -> "DictConfig":
    """The configuration with a mode that the command says last, or none."""
    Composer._apply_overrides_to_config(list(map(parsed, mode)), cfg)
    cfg.hydra.overrides.hydra.extend(mode)
    return cfg


@lru_cache(1024)
def parsed(text: str) -> Override:
    """Raises as Hydra's parser."""
    return _parser().parse_overrides([text])[0]


@cache
def _parser() -> OverridesParser:
    return OverridesParser.create()
