"""Trainings of several engines on the pretended GPU, and what a step of each launches."""

import copy
from typing import Any
from unittest import mock

import torch

from bench.errors import CaptureFailed
from bench.run.experiment import Experiment
from bench.streams import own_stream
from bench.train import engine as engines
from bench.train.graph import WARM_UP
from bench.train.replicas import Replicas
from bench.train.trainer import Trainer
from estimators.rloo import RLOO
from tests.support.pretended import sweep
from tests.support.pretended.gpu import Watch
from tests.support.small import TRAIN, run_config

STEPS = WARM_UP + 4
REPLICAS = 3


def trained(option: str, family: str, name: str, replicas: int, changes: dict[str, Any]) -> dict[str, Any]:
    """Losses of a training, and of its last step the kernels that the host launched and those that a graph did."""
    engines.BACKEND = "aot_eager"  # all but the generation of code
    found = sweep.made(option, family, **changes)
    assert found is not None
    first, x = found
    trainer: Trainer = first
    if replicas > 1:
        twins = [copy.deepcopy(first, {id(first.batches): sweep.batches(seed)}) for seed in range(replicas)]
        trainer = Replicas(twins, list(range(replicas)), TRAIN | changes, x)  # type: ignore[arg-type]
    executed = engines.engine(trainer, name)
    with own_stream(1, "take"):
        for _ in range(STEPS - 1):
            executed.step()
        with Watch() as watch:
            executed.step()
    graph = executed.captured.graph if isinstance(executed, engines.Graph) else None
    rates = [group["lr"] for group in trainer.groups()]
    assert all(isinstance(rate, float) for rate in rates)  # whatever reads them finds numbers
    return {
        "losses": trainer.losses[:STEPS].flatten().tolist(),
        "launched": watch.kernels.total(),
        "in the graph": 0 if graph is None else len(graph.tape),  # type: ignore[attr-defined]
    }


def several(cases: list[tuple[str, str, str, int, dict[str, Any]]]) -> list[dict[str, Any]]:
    """`trained` of several cases."""
    return [trained(*case) for case in cases]


def failing() -> dict[str, Any]:
    """A training that the device cannot record, though nothing said so before; what it says, and whether anything has
    moved."""
    found = sweep.made("rloo", "bernoulli")
    assert found is not None
    trainer, _ = found
    executed = engines.engine(trainer, "graph")
    with own_stream(1, "take"):
        for _ in range(WARM_UP):
            executed.step()
        before = [p.detach().clone() for p in trainer.learned]
        with mock.patch.object(RLOO, "update", lambda self, estimate: estimate.cost.sum().item()):
            try:
                executed.step()
                said = ""
            except CaptureFailed as error:
                said = str(error)
    still = all(torch.equal(a, b) for a, b in zip(before, trainer.learned, strict=True))
    return {"said": said, "still": still, "steps": trainer.step_count}


def falling_back(engine: str, fallback: str) -> list[str]:
    """What a run says whose step cannot be recorded, or the engine by which it trains instead."""
    config = run_config("bernoulli", {"_target_": "estimators.rloo.RLOO", "k": 2}, train={"steps": 2})
    config |= {"device": "cuda", "engine": engine, "engine_fallback": fallback}
    with mock.patch.object(RLOO, "update", lambda self, estimate: estimate.cost.sum().item()):
        try:
            experiment = Experiment(config)
        except ValueError as error:
            return [str(error)]
    return [experiment.executes, type(experiment.engine).__name__]


def refused() -> dict[str, Any]:
    """What becomes of steps that no graph can record."""
    asked = [(engine, fallback) for engine in engines.GRAPHS for fallback in ("none", "eager")]
    found: dict[str, Any] = {f"{engine}, {fallback}": falling_back(engine, fallback) for engine, fallback in asked}
    return found | {"failing": failing()}
