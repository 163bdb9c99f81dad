"""What `python -m bench.tune` takes beside the configuration of its runs."""

from typing import TypedDict


class PointsGroup(TypedDict):
    """Where each point lies in the range of each key, from 0 to 1; null: the key is not varied."""

    lr: list[float]
    temperature: list[float] | None
    k: list[float] | None
    scale: list[float] | None


class TuneGroup(TypedDict):
    """What it asks for besides its budget."""

    lr: list[float]
    split: str
    halving: list[float]
    fresh: int
    points: PointsGroup


class Tuning(TypedDict):
    """The whole of it."""

    budget: int
    tune: TuneGroup
