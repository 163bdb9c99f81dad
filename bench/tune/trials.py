"""The rows of table `tuning`."""

from collections.abc import Sequence
from typing import Any

from bench.tune.choose import Scored
from bench.tune.subjects import Subject

Row = dict[str, Any]
SHOWN = {"lr": "train.lr", "temperature": "estimator.temperature", "k": "estimator.k", "scale": "estimator.scale"}


def rows(
    subject: Subject, points: Sequence[Scored], seeds: Sequence[int], share: float, split: str, role: str = "point"
) -> list[Row]:
    """A row for each point and seed."""
    found = []
    for point in points:
        for seed, result in zip(seeds, point.results, strict=True):
            row: Row = {"run": result.run, "subject": subject.name, "estimator": subject.option, "role": role}
            row |= {"point": point.number, "share": share, "seed": seed, "status": result.status, "split": split}
            row |= {"values": " ".join(f"{key}={value!r}" for key, value in point.values.items())}
            row |= {name: point.values.get(key) for name, key in SHOWN.items()}
            row |= {"bound": result.bound, "bound_se": result.error, "spread": result.spread}
            row |= {"bound_test": result.test, "seconds": result.seconds}
            found.append(row | {"chosen": True if role == "fresh" else None})
    return found


def mark(found: list[Row], subject: Subject, number: int | None, edge: str) -> None:
    """Say of every point of the subject whether it was chosen, and of the chosen one which edges it is on."""
    for row in found:
        if row["subject"] == subject.name:
            row["chosen"] = row["point"] == number
            row["edge"] = edge if row["chosen"] and edge else None
