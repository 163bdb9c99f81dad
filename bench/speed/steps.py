"""A training step of every engine against a bare PyTorch loop."""

from collections.abc import Callable, Iterator
from functools import partial
from itertools import repeat
from typing import Any, NamedTuple

import torch

from bench.measure.clock import Rounds
from bench.measure.timing import compare
from bench.speed.handwritten import FUNCTIONS
from bench.speed.plain import BareLayers, BareLoop
from bench.speed.problems import LAYERED, LEAD, TRAIN, TWO_LAYERS, Option, problem, two_layers
from bench.speed.rows import Rows, about
from bench.train.engine import GRAPHS, engine
from bench.train.replicas import Replicas
from bench.train.trainer import Trainer

STEPS = 20  # timed together
REPLICAS = 8


class Way(NamedTuple):
    """A way of training: an engine, and how many seeds at once."""

    engine: str
    replicas: int


def ways(device: torch.device) -> list[Way]:
    """Those that this device has: graphs are CUDA's, and compiling several seeds takes minutes on a processor."""
    found = [Way("eager", 1), Way("compile", 1), Way("eager", REPLICAS)]
    return found + ([Way(name, r) for name in GRAPHS for r in (1, REPLICAS)] if device.type == "cuda" else [])


def step_of(way: Way, device: torch.device) -> Callable[[], object]:
    """The function that takes one training step of all seeds."""
    trainers = []
    for _ in range(way.replicas):
        objective, x = problem(device, LEAD)
        trainers.append(Trainer(objective, repeat(x), TRAIN))
    seeds = list(range(way.replicas))
    return engine(trainers[0] if len(trainers) == 1 else Replicas(trainers, seeds, TRAIN, x), way.engine).step


def step_rows(device: torch.device, rounds: Rounds) -> Iterator[Rows]:
    """20 steps of each way; the reference is the bare loop, once per replica."""
    for way in ways(device):
        names = about(f"{STEPS} training steps, {way.engine}", LEAD, way.replicas, way.engine)
        yield Rows([names], partial(_steps, device, way, rounds))


def _steps(device: torch.device, way: Way, rounds: Rounds) -> list[dict[str, Any]]:
    step, bare = step_of(way, device), []
    for _ in range(way.replicas):
        twin, x = problem(device, LEAD)
        encoder, decoder = (twin.model.get_submodule(part) for part in ("encoder", "decoder"))
        bare.append(BareLoop(encoder, decoder, repeat(x), TRAIN["lr"]))

    def ours() -> None:
        for _ in range(STEPS):
            step()

    def plain() -> None:
        for _ in range(STEPS):
            for loop in bare:
                loop.step()

    return [compare(ours, plain, device, rounds)]


def layered_rows(device: torch.device, rounds: Rounds) -> Iterator[Rows]:
    """20 steps of two layers of bits; the reference is a loop with the same estimator, written by hand."""
    for option in LAYERED:
        names = about(f"{STEPS} training steps, {TWO_LAYERS}", option, 1)
        yield Rows([names], partial(_layered, device, option, rounds))


def _layered(device: torch.device, option: Option, rounds: Rounds) -> list[dict[str, Any]]:
    (objective, x), (twin, _) = two_layers(device, option), two_layers(device, option)
    trainer = Trainer(objective, repeat(x), TRAIN)
    bare = BareLayers(twin.model, FUNCTIONS[option.name][1], repeat(x), TRAIN["lr"])

    def ours() -> None:
        for _ in range(STEPS):
            trainer.step()

    def plain() -> None:
        for _ in range(STEPS):
            bare.step()

    return [compare(ours, plain, device, rounds)]
