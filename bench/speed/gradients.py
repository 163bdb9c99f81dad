"""A gradient of several batch sizes, options in turn: where launching takes the time, it says nothing of the work."""

from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from typing import Any

import torch

from bench.measure.clock import Rounds, Work
from bench.measure.cost import in_turn
from bench.model.objective import Objective
from bench.speed.problems import LEAD, Option, problem
from bench.speed.rows import Rows, about
from bench.streams import own_stream


def gradient_rows(
    device: torch.device, options: Iterable[Option], sizes: Iterable[int], rounds: Rounds
) -> Iterator[Rows]:
    """Each option's gradient of `size` examples, by engine eager; the reference is RLOO's on Bernoulli latents."""
    chosen = {option.name: option for option in [LEAD, *options]}
    for size in sizes:
        names = [about("gradient of a batch", option, size) for option in chosen.values()]
        yield Rows(names, partial(_in_turn, device, chosen, size, rounds))


def _in_turn(device: torch.device, chosen: Mapping[str, Option], size: int, rounds: Rounds) -> list[dict[str, Any]]:
    works = {name: _gradient(device, option, size) for name, option in chosen.items()}
    with own_stream(1, "speed"):
        found = in_turn(works, device, rounds)
    reference = found[LEAD.name]
    return [
        {
            "ours": ours["seconds"], "ours_se": ours["seconds_se"],
            "reference": reference["seconds"],
            "reference_se": reference["seconds_se"], "ratio": reference["seconds"] / ours["seconds"],
            **{key: ours.get(key) for key in ("seconds_device", "overhead", "launches", "valid")},
        }
        for ours in (found[name] for name in chosen)
    ]  # fmt: skip


def _gradient(device: torch.device, option: Option, size: int) -> Work:
    objective, x = problem(device, option)
    batch = x[torch.arange(size, device=device) % len(x)]
    return lambda: _all_gradients(objective, batch)


def _all_gradients(objective: Objective, x: torch.Tensor) -> object:
    """Of the loss, with respect to all that is learned."""
    q = objective.model.encode(x)
    loss = (objective.estimate(q, x).loss + objective.fixed(q)).mean()
    learned = [p for p in objective.model.parameters() if p.requires_grad]
    return torch.autograd.grad(loss, learned, allow_unused=True)
