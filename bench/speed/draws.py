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
from bench.speed.rows import Rows, about
from bench.streams import own_stream

PARTS = {"encoder": ("encoder",), "encoder + decoder": ("encoder", "decoder")}


def draws_rows(device: torch.device, options: Iterable[Option], counts: list[int], rounds: Rounds) -> Iterator[Rows]:
    """The trace of the covariance of each option's gradient, encoder's and full, by `take` and by the plain loop."""
    for option in options:
        for what, measured in PARTS.items():
            for draws in counts:
                measure = partial(_compared, device, option, measured, draws, rounds)
                yield Rows([about(f"draws, {what}", option, draws)], measure)


def _compared(
    device: torch.device, option: Option, measured: Sequence[str], draws: int, rounds: Rounds
) -> list[dict[str, Any]]:
    objective, x = problem(device, option)
    decoder = "decoder" in measured
    named = objective.model.named_parameters()
    parameters = [p for n, p in named if p.requires_grad and (decoder or n.startswith("encoder."))]
    ours = partial(_ours, objective, x, draws, measured)
    plain = partial(plain_draws, objective, x, draws, parameters)
    with own_stream(1, "speed"):
        row = compare(ours, plain, device, rounds)
    least = work(objective, x, decoder)
    floor = least.seconds(draws, device)
    row |= {"floor": floor, "fraction_of_floor": floor / row["ours"]}
    return [row | {"memory_floor": least.memory_seconds(draws, device), "gflops": least.flops(draws) / 1e9}]


def _ours(objective: Objective, x: Tensor, draws: int, measured: Sequence[str]) -> float:
    tallies = take(objective, x, draws, decoder="decoder" in measured)
    blocks = parts(tallies, False)
    return noise_alone(tallies, [name for part in measured for name in blocks[part]])


def memory_rows(device: torch.device, counts: list[int]) -> Iterator[Rows]:
    """Peak memory of full-gradient draws; the reference is that of the fewest."""
    names = [about("peak memory, encoder + decoder", LEAD, draws, unit="bytes") for draws in sorted(counts)]
    yield Rows(names, partial(_memory, device, sorted(counts)))


def _memory(device: torch.device, counts: list[int]) -> list[dict[str, Any]]:
    objective, x = problem(device, LEAD)

    def drawn(draws: int) -> Callable[[], object]:
        return lambda: take(objective, x, draws)

    peaks = []
    for draws in counts:
        with own_stream(1, "speed"):
            peaks.append(float(peak_memory(drawn(draws), device, drawn(counts[0]))))
    return [{"ours": peak, "reference": peaks[0], "ratio": peak / peaks[0]} for peak in peaks]
