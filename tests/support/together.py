"""`python -m tests.support.together DIR`: 8 processes with 25 runs of their own each, and then those of their
neighbour; on every run a killed process has left its claim."""

import json
import os
import platform
import sys
from pathlib import Path

import torch

from bench.run import attempt, seeds
from bench.run.ending import place
from tests.support.kills import preload
from tests.support.runs import config

PROCESSES, RUNS = 8, 25
TINY = ("train.steps=1", "evaluate.at=[1]", "evaluate.prior_samples=0", "measure.at=[]", "timing.repetitions=0",
        "model.hidden=[4]", "latent=bernoulli_small")  # fmt: skip


def seeded(composed: dict, seed: int) -> dict:
    """The configuration of one of the runs."""
    return composed | {"seed": seed, "seeds": dict.fromkeys(composed["seeds"], seed)}


def leave_claims(composed: dict) -> None:
    """Of every run, as of a process that was killed."""
    for seed in range(PROCESSES * RUNS):
        directory = place(seeded(composed, seed))
        directory.mkdir(parents=True)
        claim = {"host": platform.node(), "pid": os.getpid(), "process": "before the reboot"}
        (directory / attempt.FILE).write_text(json.dumps(claim))


def work(composed: dict, number: int) -> dict[str, int]:
    """How many runs ended how in process `number`: its own from the first, its neighbour's from the last."""
    neighbour = (number + 1) % PROCESSES
    order = [number * RUNS + i for i in range(RUNS)] + [neighbour * RUNS + i for i in reversed(range(RUNS))]
    ended: dict[str, int] = {}
    for seed in order:
        [ending] = seeds.runs(seeded(composed, seed), many=True)
        how = f"{'already ' * ending.already}{ending.status}"
        ended[how] = ended.get(how, 0) + 1
    return ended


def main(folder: Path) -> int:
    """Prints a line of JSON for each process; the exit status is the number of those that broke."""
    preload()
    composed, pids = config(*TINY, f"output={folder}"), []
    leave_claims(composed)
    for number in range(PROCESSES):
        if not (pid := os.fork()):
            torch.set_num_threads(1)
            os.write(1, (json.dumps(work(composed, number)) + "\n").encode())  # in one piece: others write there too
            os._exit(0)
        pids.append(pid)
    return sum(os.waitpid(pid, 0)[1] != 0 for pid in pids)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
