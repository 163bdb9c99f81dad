"""One run: from a resolved configuration to the tables of a run directory."""

from collections.abc import Collection
from pathlib import Path

from bench.run.ending import Ending
from bench.run.perform import perform, start
from bench.settings import Config
from bench.tables import store


def run(config: Config, directory: Path, progress: bool = False, checkpoints: Collection[int] = ()) -> Ending:
    """Train, measure, evaluate and time as `config` says, and write the tables over any earlier ones.

    Args:
        config: resolved and checked.
        directory: of the run, for all its files.
        progress: whether to show a progress bar.
        checkpoints: steps at which the model is written beside the tables (`bench.run.checkpoint`).

    Returns:
        How the run ended.

    Raises:
        Impossible: the parts of the configuration do not go together; nothing is written.
        ValueError: a part is missing, such as a data file; nothing is written.
    """
    version = store.version(directory)
    return perform(start([config]), [directory], {0: version}, progress, checkpoints)[0]
