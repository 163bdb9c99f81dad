"""Gradient draws against the plain loop and against the measured ceilings, and their memory."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from bench.measure.clock import Rounds
from bench.measure.gradient.draws import take
from bench.measure.gradient.parts import noise_alone, parts
from bench.measure.timing import compare, peak_memory
from bench.model.objective import Objective
from bench.speed.ceilings import work
from bench.speed.plain import plain_draws
from bench.speed.problems import LEAD, Option, problem
from bench.streams import own_stream

PARTS = {"encoder": ("encoder",), "encoder + decoder": ("encoder", "decoder")}


def draws_rows(
    device: torch.device, options: Iterable[Option], counts: list[int], rounds: Rounds
) -> Iterator[dict[str, Any]]:
    """The trace of the covariance of each option's gradient, encoder's and full, by `take` and by the plain loop."""
    for option in options:
        objective, x = problem(device, option)
        for what, measured in PARTS.items():
            decoder = "decoder" in measured
            named = objective.model.named_parameters()
            parameters = [p for n, p in named if p.requires_grad and (decoder or n.startswith("encoder."))]
            least = work(objective, x, decoder)
            for draws in counts:
                ours = partial(_ours, objective, x, draws, measured)
                plain = partial(plain_draws, objective, x, draws, parameters)
                with own_stream(1, "speed"):
                    row = compare(ours, plain, device, rounds)
                floor = least.seconds(draws, device)
                yield {
                    "what": f"draws, {what}", "estimator": option.name, "family": option.family, "size": draws,
                    "engine": "eager", "unit": "s", **row, "floor": floor, "fraction_of_floor": floor / row["ours"],
                    "memory_floor": least.memory_seconds(draws, device), "gflops": least.flops(draws) / 1e9,
                }  # fmt: skip


def _ours(objective: Objective, x: Tensor, draws: int, measured: Sequence[str]) -> float:
    tallies = take(objective, x, draws, decoder="decoder" in measured)
    blocks = parts(tallies, False)
    return noise_alone(tallies, [name for part in measured for name in blocks[part]])


def memory_rows(device: torch.device, counts: list[int]) -> Iterator[dict[str, Any]]:
    """Peak memory of full-gradient draws; the reference is that of the fewest."""
    objective, x = problem(device, LEAD)
    fewest = 0

    def drawn(draws: int) -> Callable[[], object]:
        return lambda: take(objective, x, draws)

    for draws in sorted(counts):
        with own_stream(1, "speed"):
            peak = peak_memory(drawn(draws), device, drawn(min(counts)))
        fewest = fewest or peak
        yield {
            "what": "peak memory, encoder + decoder", "estimator": LEAD.name, "family": LEAD.family, "size": draws,
            "engine": "eager", "unit": "bytes", "ours": float(peak), "reference": float(fewest),
            "ratio": peak / fewest,
        }  # fmt: skip
