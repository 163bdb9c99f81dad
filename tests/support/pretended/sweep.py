"""Everything that a run does, on the pretended GPU: each option on each family."""

import copy
import time
from itertools import repeat
from typing import Any

import torch
from torch import Tensor

from bench.config import plugins
from bench.measure.evaluate import evaluate
from bench.measure.gradient.draws import take
from bench.model.objective import Objective
from bench.streams import own_stream
from bench.train.capture import obstacle
from bench.train.engine import WARM_UP, engine
from bench.train.trainer import Trainer
from tests.support.pretended.gpu import Seen, Watch
from tests.support.small import LATENTS, TRAIN, images, vae

STEPS = WARM_UP + 3
VQ = {"codebook": "ema", "restart": 0.5}  # the codebook of which most moves


def made(option: str, family: str, **train: Any) -> tuple[Trainer, Tensor] | None:
    """A trainer on the pretended GPU and a batch; None where they do not go together."""
    for kl in ("analytic", "sampled"):
        torch.manual_seed(0)
        model = vae(family, VQ if family == "vq" else None).float().to("cuda")
        x, estimator = images(4).float().to("cuda"), plugins.estimator(option).to("cuda")
        objective = Objective(model, estimator, kl=kl)
        with torch.no_grad():
            q = model.encode(x)
        if objective.impossible(q) is None:
            objective.estimate(model.encode(x), x)  # sizes of lazy layers
            return Trainer(objective, repeat(x), TRAIN | train), x
    return None


def losses(trainer: Trainer, name: str) -> tuple[list[float], list[list[str]]]:
    """Losses of a copy that trains by this engine, and what was seen of the last step as it is written."""
    executed = engine(twin := copy.deepcopy(trainer, {id(trainer.batches): trainer.batches}), name)
    seen: list[Seen] = []
    with own_stream(1, "take"):
        for step in range(STEPS):
            if step in (WARM_UP - 1, WARM_UP):  # the last as it is written, and the one that a graph captures
                with Watch() as watch:
                    executed.step()
                seen = watch.seen if step < WARM_UP else seen
            else:
                executed.step()
    return twin.losses[:STEPS].tolist(), [list(s) for s in seen]


def pair(option: str, family: str) -> dict[str, Any] | None:
    """What was seen of one option on one family; None where they do not go together."""
    found = made(option, family)
    if found is None:
        return None
    trainer, x = found
    row: dict[str, Any] = {"option": option, "family": family}
    row["eager"], row["train"] = losses(trainer, "eager")
    row["obstacle"] = obstacle(trainer, x)
    if row["obstacle"] is None:
        try:
            row["graph"], _ = losses(trainer, "graph")
        except RuntimeError as error:
            row["graph"] = str(error)
    for name, work in {
        "take": lambda: take(trainer.objective, x, 6),
        "evaluate": lambda: evaluate(trainer.model, x, 3, 4, 0),
    }.items():
        with Watch() as watch, own_stream(2, "step"):
            work()
        row[name], row[f"{name} kernels"] = [list(s) for s in watch.seen], watch.kernels.total()
    return row


def pairs(chosen: list[tuple[str, str]]) -> list[dict[str, Any] | None]:
    """`pair` of some families and options."""
    return [pair(option, family) for family, option in chosen]


def sweep() -> list[dict[str, Any]]:
    """Every option and preset on every family."""
    rows = []
    for option in [*plugins.registry(), *plugins.presets()]:
        for family in LATENTS:
            start = time.perf_counter()
            row = pair(option, family)
            if row:
                rows.append(row | {"seconds": time.perf_counter() - start})
    return rows
