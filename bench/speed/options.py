"""What every option costs per draw, on tensors so small that the cost itself is nearly free."""

import sys
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from bench.config import plugins
from bench.errors import BadInput
from bench.measure.clock import Rounds, Work, clock_of, interleaved
from bench.measure.timing import against
from bench.speed.handwritten import FUNCTIONS
from bench.streams import own_stream
from estimators import FAMILIES, VQ, Estimator, Latent

PARAMS = {"gaussian": (16,), "bernoulli": (8,), "categorical": (4, 4), "vq": (4, 3), "sequence": (5, 4)}  # 4 codes


def latent(family: str, replicas: int, device: torch.device) -> Latent:
    """One example of the family in each of the replicas: `params [R, 1, *]`."""
    params = torch.randn(replicas, 1, *PARAMS[family], device=device, requires_grad=True)
    return VQ(params, torch.randn(4, 3, device=device)) if family == "vq" else FAMILIES[family](params)


def rows(device: torch.device, counts: list[int], rounds: Rounds) -> Iterator[dict[str, Any]]:
    """For each number of replicas and each option: microseconds a draw, and the ratio to a hand-written function. All
    options of one number are timed in turn."""
    options: dict[str, tuple[Estimator, str]] = {}
    for name in plugins.registry():
        try:
            estimator = plugins.estimator(name).to(device)
        except BadInput as error:
            print(f"{name} is left out: {error}", file=sys.stderr)
            continue
        families = [FUNCTIONS[name][0]] if name in FUNCTIONS else FAMILIES
        possible = [f for f in families if estimator.refuses(latent(f, 1, device)) is None]
        if possible:
            options[name] = estimator, possible[0]
    for replicas in counts:
        with own_stream(0, "speed"):
            works = {
                (name, side): work
                for name, (estimator, family) in options.items()
                for side, work in _works(name, estimator, latent(family, replicas, device)).items()
            }
            found = interleaved(works, clock_of(device), rounds)
        for name, (_, family) in options.items():
            ours, plain = found[name, "ours"], found.get((name, "reference"))
            row = {"option": name, "family": family, "replicas": replicas}
            row["microseconds"] = 1e6 * ours.seconds / replicas
            yield row if plain is None else row | {"ratio": 1 / against(ours, plain)["ratio"]}


def _works(name: str, estimator: Estimator, q: Latent) -> dict[str, Work]:
    """A gradient by the suite, and by the function written by hand where there is one."""
    x, cost = torch.zeros(1, 4, device=q.params.device), _cost(q)
    works: dict[str, Work] = {
        "ours": lambda: torch.autograd.grad(estimator(q, cost, x).loss.sum(), q.params, allow_unused=True)
    }
    if name in FUNCTIONS:
        function = FUNCTIONS[name][1]
        works["reference"] = lambda: torch.autograd.grad(function(q.params, cost).sum(), q.params)
    return works


def _cost(q: Latent) -> Callable[..., Tensor]:
    """A cheap nonlinear function of the sum of all units: `[K, ..., *]` -> `[K, ...]`."""
    axes = tuple(range(-q.event_ndim, 0))

    def cost(z: Tensor, q: Latent | None = None) -> Tensor:
        total = z.sum(axes)
        return total.tanh() + 0.1 * total**2

    return cost
