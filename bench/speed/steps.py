"""A training step of every engine against a bare PyTorch loop."""

from collections.abc import Callable, Iterator
from itertools import repeat
from typing import NamedTuple

import torch

from bench.speed.plain import BareLoop
from bench.speed.problems import LEAD, TRAIN, problem
from bench.timing import compare
from bench.train import Trainer

STEPS = 20  # timed together


class Engine(NamedTuple):
    """A way of training `replicas` seeds at once; `build(device)` gives the function that does one step of all."""

    name: str
    replicas: int
    build: Callable[[torch.device], Callable[[], object]]


def eager(device: torch.device) -> Callable[[], object]:
    """The trainer as it is, one seed."""
    objective, x = problem(device, *LEAD)
    return Trainer(objective, repeat(x), TRAIN).step


ENGINES = [Engine("eager", 1, eager)]


def step_rows(device: torch.device, engines: list[Engine], repetitions: int) -> Iterator[dict]:
    """20 steps of each engine; the reference is the bare loop, once per replica."""
    name, family, hyper = LEAD
    for engine in engines:
        step = engine.build(device)
        bare = []
        for _ in range(engine.replicas):
            twin, x = problem(device, name, family, hyper)
            bare.append(BareLoop(twin.model.encoder, twin.model.get_submodule("decoder"), repeat(x), TRAIN["lr"]))

        def ours(step=step):
            for _ in range(STEPS):
                step()

        def plain(bare=bare):
            for _ in range(STEPS):
                for loop in bare:
                    loop.step()

        yield {
            "what": f"{STEPS} training steps", "estimator": name, "family": family, "size": engine.replicas,
            "engine": engine.name, "unit": "s", **compare(ours, plain, device, repetitions),
        }  # fmt: skip
