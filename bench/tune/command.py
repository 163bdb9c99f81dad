"""`python -m bench.tune [overrides]`: every estimator is tried at the same number of points, chosen on validation.

Takes the configuration of `python -m bench`, `budget` and the group `tune`. Each point is an ordinary run beside the
others, so the same command resumes; the table `tuning_<hash>.parquet` beside them says which was chosen, and
`python -m bench.report` reads both.
"""

import re
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from bench.cli import jobs, launch
from bench.docstrings import docstring
from bench.terminal import to_its_end

if TYPE_CHECKING:
    from bench.settings import Tuning
    from bench.sweep.job import Session

OWN = re.compile(r"[+~]*(budget|tune([.@/]\w+)*)(=|$)")  # what this command reads itself
SWEEPER = "tuning"
PLACE = "hydra_plugins.estimator_bench_tuning"


@to_its_end
def main(argv: Sequence[str] | None = None) -> int:
    """Exit status: as of `python -m bench`."""
    from bench.sweep.job import job
    from bench.sweep.plan import file_of
    from bench.tables.tuning import PATTERN
    from bench.tune.show import besides, show

    arguments = list(sys.argv[1:] if argv is None else argv)
    words = ["bench", "tune", *arguments]

    def done(session: "Session") -> None:
        folders = dict.fromkeys(ending.directory.parent for ending in session.endings if ending.directory)
        show([folder / file_of(words, PATTERN) for folder in folders])

    def begin(given: list[str], config_name: str, task: Any, session: "Session") -> None:
        own = [argument for argument in given if OWN.match(argument)]
        rest = [argument for argument in given if not OWN.match(argument)]
        settings = settings_of(own)
        _register(settings, file_of(words, PATTERN))
        _refuse_sweeper(rest)
        if {"--help", "-h"} & {*rest}:  # what follows is that of a run
            print(f"{docstring(sys.modules[__name__])}\n{besides(settings)}")
        jobs([*rest, "--multirun", f"hydra/sweeper={SWEEPER}"], config_name, task, session, ["tune", *given])

    return launch(arguments, "config", job, done, begin)


def settings_of(words: list[str]) -> "Tuning":
    """Composed of `conf/tune.yaml` and these overrides, and checked."""
    from hydra import compose, initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from omegaconf import OmegaConf

    from bench.config.plugins import VERSION_BASE
    from bench.errors import BadInput
    from bench.files import CONF
    from bench.tune.points import checked

    if several := [o.input_line for o in OverridesParser.create().parse_overrides(words) if o.is_sweep_override()]:
        raise BadInput(f"{several[0]} has several values, and a tuning has one: give each a command of its own.")
    outer, GlobalHydra.instance().hydra = GlobalHydra.instance().hydra, None
    try:
        with initialize_config_dir(str(CONF), **VERSION_BASE):
            found: Any = OmegaConf.to_container(compose("tune", words), resolve=True)
    finally:
        GlobalHydra.instance().hydra = outer
    return checked(found)


def _refuse_sweeper(words: list[str]) -> None:
    from bench.errors import BadInput

    if asked := [word for word in words if word.lstrip("+").startswith("hydra/sweeper=")]:
        raise BadInput(f"bench.tune has a sweeper of its own; for {asked[0]} it is python -m bench -m.")


def _register(settings: "Tuning", file: str) -> None:
    """Make the sweeper known to Hydra, with what it is to do."""
    from hydra.core.config_store import ConfigStore

    from bench.sweep.launchers import make_known
    from bench.tune.sweeper import TuningSweeper

    make_known(PLACE, TuningSweeper)
    node: dict[str, Any] = {"_target_": f"{PLACE}.TuningSweeper", "max_batch_size": None, "params": None}
    node |= {"settings": settings, "file": file}
    ConfigStore.instance().store(group="hydra/sweeper", name=SWEEPER, node=node, provider="bench")


if __name__ == "__main__":
    sys.exit(main())
