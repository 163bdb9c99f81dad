"""All runs of one configuration: one run, or with `replicas=R` R seeds trained at once, each with its own directory."""

import sys
import time

from bench.config.identity import replica
from bench.run.ending import Ending, earlier, place, require_writable
from bench.run.failures import keep_traceback, not_started
from bench.run.perform import perform, start
from bench.run.record import record
from bench.settings import Config
from bench.tables import store
from bench.terminal import watched


def runs(config: Config, many: bool) -> list[Ending]:
    """Do the run of each seed of `config` that does not exist yet.

    Called for every job of `python -m bench`. A run that exists, did not fail and was made by the present code is left
    as it is, and so is one on which another process works. For the others `sweep.retry` decides. An interrupted run
    continues from its last saved state.

    Args:
        config: resolved and checked.
        many: whether this is one job of a sweep, in which a run that cannot start is recorded instead of refused.

    Returns:
        How each seed's run ended, in order.

    Raises:
        BadInput: the configuration cannot be used; nothing is written.
    """
    clock = time.perf_counter()
    configs = [replica(config, number) for number in range(config["replicas"])]
    directories = [place(each) for each in configs]
    require_writable(directories[0])
    versions = list(map(store.version, directories))
    retry, pairs = config["sweep"]["retry"], list(zip(configs, directories, strict=True))
    found = {n: ending for n, (one, at) in enumerate(pairs) if (ending := earlier(one, at, retry, many))}
    endings = {n: ending for n, ending in found.items() if ending.already}
    again = [n for n in found if n not in endings]
    if again and not many:
        print(f"{directories[again[0]]} was made by other code: it is done again.", file=sys.stderr)
    if wanted := {n: version for n, version in enumerate(versions) if n not in endings}:
        try:
            training = start(configs)
        except Exception as error:
            refused = not_started(error, many, config)
            for n in wanted:
                endings[n] = record(configs[n], directories[n], refused)
                if refused.status == "failed":
                    keep_traceback(error, directories[n])
        else:
            endings |= perform(training, directories, wanted, progress=not many and watched())
    took = time.perf_counter() - clock
    labels = [f"seed={each['seed']}" if len(configs) > 1 else "" for each in configs]
    endings |= {n: endings[n]._replace(former=found[n].former) for n in again}
    return [endings[n]._replace(label=label, seconds=took) for n, label in enumerate(labels)]
