"""A run with `replicas=R`: R seeds trained at once, each with its own run directory, rows and end."""

import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from bench.config import plugins
from bench.config.identity import replica
from bench.run import attempt
from bench.run.ending import Finished, already, place, require_writable
from bench.run.failures import not_started
from bench.run.record import record
from bench.run.together import Together
from bench.tables import store


def together(config: dict[str, Any], many: bool) -> list[Finished]:
    """Train all seeds of `config` and write a run directory for each, unless all are there; how each ended.

    A seed that is there and did not fail stays as it is, and so does one that another process works on. What was
    interrupted continues where it last wrote down its state. `many`: one job of a sweep, in which nothing is raised.

    Raises:
        BadInput: the configuration cannot be used; nothing is written.
    """
    clock = time.perf_counter()
    plugins.build(config["estimator"])
    require_writable(Path(config["output"]) / config["name"])
    configs = [replica(config, number) for number in range(config["replicas"])]
    directories = [place(each) for each in configs]
    versions = list(map(store.version, directories))
    ended = {number: end for number, folder in enumerate(directories) if (end := already(config, folder, many))}
    if wanted := [number for number in range(len(configs)) if number not in ended]:
        try:
            started = Together(configs, directories)
        except Exception as error:  # before the start
            refused = not_started(error, many)
            ended |= {n: Finished(directories[n], *record(configs[n], directories[n], *refused)) for n in wanted}
        else:
            ended |= _work(started, {number: versions[number] for number in wanted}, not many and sys.stderr.isatty())
    took = time.perf_counter() - clock
    return [ended[n]._replace(what=f"seed={each['seed']}", seconds=took) for n, each in enumerate(configs)]


def _work(started: Together, wanted: dict[int, Any], progress: bool) -> dict[int, Finished]:
    """Claim the wanted seeds, train, and write those down that nobody else works on.

    Args:
        started: all seeds.
        wanted: which of them, and the version of each directory when they were found wanting.
    """
    ended: dict[int, Finished] = {}
    with ExitStack() as claims:
        for number, version in wanted.items():
            directory, about = started.directories[number], started.about(number)
            claim = attempt.claim(directory, about, lambda: started.trainer.step_count, version)
            if taken := claims.enter_context(claim):
                ended[number] = Finished(directory, "running", taken, already=True)
        if mine := [number for number in wanted if number not in ended]:
            ends = started.run(mine, progress)
            for number in mine:
                config, directory = started.configs[number], started.directories[number]
                ended[number] = Finished(directory, *record(config, directory, *ends[number]))
    return ended
