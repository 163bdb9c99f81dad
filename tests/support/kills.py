"""`python -m tests.support.kills 50 --launcher basic --out FILE.csv`: kill a small sweep (SIGKILL) at random
moments, give the same command again until it is done, and compare its tables with those of an undisturbed sweep.

A row of the CSV is a kill: of which sweep, whom and when, how many runs were done before and could be continued after;
whether the sweep's tables came out the same in the end, save for times; and how many processes it left behind.
"""

import argparse
import csv
import json
import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from bench.run import attempt
from bench.tables import store
from tests.support.command import Command

SWEEP = (
    "-m", "estimator=nvil", "seed=0,1,2", "latent=bernoulli_small", "model.hidden=[16]", "threads=1",
    "train.batch_size=50", "measure.draws=8", "measure.batches=2", "evaluate.examples=50",
    "evaluate.samples=5", "evaluate.prior_samples=0", "timing.repetitions=0", "sweep.checkpoint_seconds=0.02",
    "output=out", "device=cpu",
)  # fmt: skip
OF_THE_MOMENT = {"seconds", "started", "command", "commit"}  # a table written into the repository changes the last


def numbers(folder: Path) -> dict[str, Any]:
    """The tables of each complete run, save for times."""
    found = {}
    for marker in folder.rglob(store.MARKER):
        read = {name: table.to_pylist() for name, table in store.read(marker.parent).items()}
        found[marker.parent.name] = {
            name: [{key: value for key, value in row.items() if key not in OF_THE_MOMENT} for row in rows]
            for name, rows in read.items()
        }
    return found


def files_left(folder: Path) -> list[str]:
    """The names of what an interruption leaves and a run that is done removes."""
    return [file.name for name in (attempt.FILE, attempt.RESUME, ".*.tmp") for file in folder.rglob(name)]


def done_in(folder: Path) -> int:
    """How many runs are done; one that was killed is a failed one at first, and to be done again."""
    return sum(run["runs"][0]["status"] == "done" for run in numbers(folder).values())


def kill(command: Command, victim: str, chance: random.Random) -> str:
    """SIGKILL for the parent or, where there is one, for a worker; who it was."""
    workers = [pid for pid in command.session() if pid != command.pid] if victim == "worker" else []
    os.kill(chance.choice(sorted(workers)) if workers else command.pid, signal.SIGKILL)
    command.wait()
    return "worker" if workers else "parent"


def kills(
    count: int, folder: Path, launcher: str = "basic", steps: int = 60, seed: int = 0, forked: bool = False
) -> Iterator[dict[str, Any]]:
    """Kill `count` times; a row for each, when its sweep is done. The victim is the parent, or a worker of the pool.
    A sweep with all its runs is left in peace: nothing would be lost."""
    if forked:
        preload()
    words = [*SWEEP, f"train.steps={steps}", *([] if launcher == "basic" else [f"hydra/launcher={launcher}"])]
    chance, told, sweep = random.Random(seed), 0, 0
    whole = Command(folder / "undisturbed", words, forked=forked)
    began = time.monotonic()
    while not list(whole.folder.rglob(attempt.FILE)) and not whole.wait(0.01):
        pass
    first = time.monotonic() - began
    whole.wait()
    duration, undisturbed = time.monotonic() - began, numbers(whole.folder)
    if whole.status:
        raise SystemExit((whole.folder / "log.txt").read_text())
    while told < count:
        sweep += 1
        place, of_this = folder / f"sweep_{sweep}", []
        while True:
            done = done_in(place)
            command = Command(place, words, forked=forked)
            moment = chance.uniform(0.8 * first, duration)
            last = told + len(of_this) == count or done == len(undisturbed)
            if last or command.wait(moment):
                command.wait()
                break
            victim = kill(command, chance.choice(["parent", "worker"]) if launcher != "basic" else "parent", chance)
            row = {"kill": told + len(of_this) + 1, "sweep": sweep, "launcher": launcher, "victim": victim}
            row |= {"after_seconds": round(moment, 3), "done_before": done, "orphans": command.orphans()}
            row |= {"done_after": done_in(place), "with_checkpoint": len(list(place.rglob(attempt.RESUME)))}
            of_this.append(row)
        same = command.status == 0 and numbers(place) == undisturbed
        left = files_left(place)
        if left:
            print(f"sweep {sweep} leaves {', '.join(left)}", file=sys.stderr)
        yield from (row | {"identical": same, "files_left": len(left)} for row in of_this)
        told += len(of_this)


def preload() -> None:
    """Import and read what a run needs, so that a fork starts at once; no number is computed."""
    import torch._dynamo  # noqa: F401  # by the first optimiser
    from hydra.core.plugins import Plugins

    import bench.run.seeds
    import bench.run.single
    import bench.sweep.job
    import bench.sweep.launchers
    import bench.sweep.loader
    import bench.sweep.summary
    import bench.tables.result  # noqa: F401
    from bench.config import code, plugins
    from tests.support.runs import config

    Plugins.instance()
    plugins.register()
    code.made_by(config(*(word for word in SWEEP if not word.startswith(("-m", "seed=")))))


def write_csv(rows: list[dict[str, Any]], path: Path) -> None:
    """Write what there is so far."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def written_down(found: Iterable[dict[str, Any]], path: Path) -> list[dict[str, Any]]:
    """All the rows, each in the file as soon as it is there."""
    rows: list[dict[str, Any]] = []
    for row in found:
        rows.append(row)
        write_csv(rows, path)
    return rows


def arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """The parsed command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.support.kills", description=__doc__)
    parser.add_argument("kills", type=int)
    parser.add_argument("--launcher", default="basic", help="basic, or another of hydra/launcher")
    parser.add_argument("--steps", type=int, default=60, help="of a run's training")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("--forked", action="store_true", help="fork this process instead of starting a new interpreter")
    parser.add_argument("--out", type=Path, help="a CSV file")
    return parser.parse_args(argv)


def main() -> int:
    options = arguments()
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        for row in kills(options.kills, Path(folder), options.launcher, options.steps, options.seed, options.forked):
            rows.append(row)
            print(f"{row['kill']}/{options.kills} {row['victim']}: identical {row['identical']}", file=sys.stderr)
            if options.out:
                write_csv(rows, options.out)
    different, orphans = sum(not row["identical"] for row in rows), sum(row["orphans"] for row in rows)
    continued = sum(row["with_checkpoint"] > 0 for row in rows)
    print(json.dumps({"kills": len(rows), "with_checkpoint": continued, "different": different, "orphans": orphans}))
    return int(different + orphans > 0)


if __name__ == "__main__":
    sys.exit(main())
