"""What every option costs per draw, on tensors so small that the cost itself is nearly free."""

import sys
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from bench.config import plugins
from bench.errors import BadInput
from bench.measure.clock import Rounds, clock_of, interleaved
from bench.measure.timing import compare
from bench.speed.handwritten import FUNCTIONS
from bench.streams import own_stream
from estimators import FAMILIES, VQ, Estimator, Latent

PARAMS = {"gaussian": (16,), "bernoulli": (8,), "categorical": (4, 4), "vq": (4, 3), "sequence": (5, 4)}  # 4 codes


def latent(family: str, replicas: int, device: torch.device) -> Latent:
    """One example of the family in each of the replicas: `params [R, 1, *]`."""
    params = torch.randn(replicas, 1, *PARAMS[family], device=device, requires_grad=True)
    return VQ(params, torch.randn(4, 3, device=device)) if family == "vq" else FAMILIES[family](params)


def rows(device: torch.device, counts: list[int], rounds: Rounds) -> Iterator[dict[str, Any]]:
    """For each option and each number of replicas: microseconds a draw, and the ratio to a hand-written function."""
    for name in plugins.registry():
        try:
            estimator = plugins.estimator(name).to(device)
        except BadInput as error:
            print(f"{name} is left out: {error}", file=sys.stderr)
            continue
        families = [FUNCTIONS[name][0]] if name in FUNCTIONS else FAMILIES
        possible = [f for f in families if estimator.refuses(latent(f, 1, device)) is None]
        if possible:
            yield from _option(name, estimator, possible[0], device, counts, rounds)


def _option(
    name: str, estimator: Estimator, family: str, device: torch.device, counts: list[int], rounds: Rounds
) -> Iterator[dict[str, Any]]:
    x = torch.zeros(1, 4, device=device)
    with own_stream(0, "speed"):
        for replicas in counts:
            q = latent(family, replicas, device)
            cost = _cost(q)

            def ours(q: Latent = q, cost: Callable[..., Tensor] = cost) -> None:
                torch.autograd.grad(estimator(q, cost, x).loss.sum(), q.params, allow_unused=True)

            row = {"option": name, "family": family, "replicas": replicas}
            if name in FUNCTIONS:
                function = FUNCTIONS[name][1]

                def plain(
                    q: Latent = q, cost: Callable[..., Tensor] = cost, function: Callable[..., Tensor] = function
                ) -> None:
                    torch.autograd.grad(function(q.params, cost).sum(), q.params)

                found = compare(ours, plain, device, rounds)
                row |= {"microseconds": 1e6 * found["ours"] / replicas, "ratio": 1 / found["ratio"]}
            else:
                timing = interleaved({"": ours}, clock_of(device), rounds)[""]
                row["microseconds"] = 1e6 * timing.seconds / replicas
            yield row


def _cost(q: Latent) -> Callable[..., Tensor]:
    """A cheap nonlinear function of the sum of all units: `[K, ..., *]` -> `[K, ...]`."""
    axes = tuple(range(-q.event_ndim, 0))

    def cost(z: Tensor, q: Latent | None = None) -> Tensor:
        total = z.sum(axes)
        return total.tanh() + 0.1 * total**2

    return cost
