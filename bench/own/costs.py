"""What the gradient of one batch takes, of several estimators on one model."""

from typing import Any

import torch
from torch import Tensor

from bench.measure.clock import Rounds, Work
from bench.measure.cost import in_turn
from bench.measure.timing import evaluations, peak_memory
from bench.model.objective import Objective
from bench.streams import own_stream

COSTS = ("evaluations_forward", "evaluations_backward", "seconds", "seconds_se", "peak_memory")


def costs(able: dict[str, Objective], x: Tensor, repetitions: int, seed: int) -> dict[str, dict[str, Any]]:
    """Of the gradient of one batch, all estimators in turn."""
    with own_stream(seed, "timing"):
        works: dict[str, Work] = {label: _gradient(objective, x) for label, objective in able.items()}
        timed = in_turn(works, x.device, Rounds(most=repetitions)) if repetitions else {}
        found: dict[str, dict[str, Any]] = {}
        for label, objective in able.items():
            forward, backward = evaluations(objective, objective.model.encode(x), x)
            row: dict[str, Any] = {"evaluations_forward": forward, "evaluations_backward": backward}
            if label in timed:
                row |= {key: timed[label][key] for key in ("seconds", "seconds_se")}
                row["peak_memory"] = peak_memory(works[label], x.device)
            found[label] = row
    return found


def _gradient(objective: Objective, x: Tensor) -> Work:
    learned = [p for p in objective.model.parameters() if p.requires_grad]

    def work() -> object:
        q = objective.model.encode(x)
        loss = (objective.estimate(q, x).loss + objective.fixed(q)).mean()
        return torch.autograd.grad(loss, learned, allow_unused=True)

    return work
