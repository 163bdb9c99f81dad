"""A tuning whose runs are a stand-in: the bounds of each split are functions of the learning rate."""

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from bench.run import record
from bench.run.ending import Ending
from bench.tune import command
from tests.support.stand_in import instead_of_runs

Bounds = Mapping[str, Callable[[float], float]]  # split -> bound of a learning rate
STEPS = (5, 8, 9, 10)
# They disagree: what is best on the validation split is worst on the test split.
DISAGREE: Bounds = {
    "train": lambda lr: -abs(math.log10(lr) + 2),
    "validation": lambda lr: -abs(math.log10(lr) + 3) - 100,
    "test": lambda lr: abs(math.log10(lr) + 3) - 50,
}


class Tuned:
    """`python -m bench.tune` as a function that writes into `output`; `runs` has the configurations that were run.

    `ends` gives the ending of a configuration, `bounds` the bounds of its splits, `wobble` the standard deviation of
    the last three of them.
    """

    def __init__(self, output: Path, monkeypatch: Any, bounds: Bounds = DISAGREE):
        self.output, self.bounds = output, bounds
        self.runs: list[Any] = []
        self.wobble: Callable[[float], float] = lambda lr: 0.0
        self.ends: Callable[[Any], Ending] = lambda config: Ending("done", step=config["train"]["steps"])
        instead_of_runs(monkeypatch, self._run)

    def __call__(self, *words: str) -> int:
        small = ("device=cpu", "train.steps=10", "tune.fresh=2", f"output={self.output}")
        return command.main([*small, *words])

    def _run(self, config: Any, directory: Path) -> Ending:
        self.runs.append(config)
        lr, ending = config["train"]["lr"], self.ends(config)
        moves = dict(zip(STEPS, (-9.0, self.wobble(lr), -self.wobble(lr), 0.0), strict=True))
        rows = [
            {"seed": config["seed"], "step": step, "split": split, "elbo": at(lr) + move, "elbo_se": 0.1}
            for split, at in self.bounds.items()
            for step, move in moves.items()
        ]
        return record.record(config, directory, ending, rows={"objective": rows} if ending.status == "done" else None)

    def asked(self) -> list[tuple[str, float, int, int]]:
        """Estimator, learning rate, steps and seed of each run, in order."""
        return [(c["option"], c["train"]["lr"], c["train"]["steps"], c["seed"]) for c in self.runs]


def rows(subject: str, points: Mapping[str, Mapping[str, Any]], **more: Any) -> list[dict[str, Any]]:
    """Rows of table `tuning`: of each run, by its id, the columns that are given; the others are those of a point."""
    usual = {"subject": subject, "estimator": subject, "role": "point", "share": 1.0, "seed": 0, "status": "done"}
    usual |= {"split": "validation", "chosen": False} | more
    return [
        {**usual, "run": run, "point": i, "values": f"train.lr={row['lr']}", **row}
        for i, (run, row) in enumerate(points.items())
    ]
