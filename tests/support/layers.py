"""Hierarchies small enough to enumerate, and the statistics of their gradients."""

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor

from bench.check.measured import MODEL
from bench.config.plugins import estimator
from bench.measure.gradient.draws import take
from bench.model.chain import Pass
from bench.model.hierarchy import Hierarchy
from bench.model.layered import Chained, Layered
from bench.model.objective import Objective
from tests.support.small import LATENTS

BATCHES, EXAMPLES = 40, 5000  # 200,000 draws
SMALL: dict[str, dict[str, Any]] = {  # networks, and samples of latents of three states
    **{name: {"hidden": 4} for name in ("relax", "rodeo", "lax")},
    **{name: {"k": 2} for name in ("rao_blackwell_topk", "sum_and_sample", "unordered_set")},
}


def hierarchy(family: str, layers: list[Any], **model: Any) -> Hierarchy:
    """A model of 2x2 images with a learned prior, centred and signed, whose weights are not small."""
    group = (
        MODEL
        | {
            "hidden": [2] if family == "gaussian" else [],
            "prior": "learned",
            "center_input": True,
            "signed_latent": True,
        }
        | model
    )
    with torch.random.fork_rng():
        torch.manual_seed(5)
        made = Hierarchy(LATENTS[family] | {"layers": layers}, group, (1, 2, 2), torch.full((4,), 0.4)).double()
        for parameter in made.parameters():
            parameter.data += 0.3 * torch.randn_like(parameter)
    return made


def images() -> Tensor:
    """`[2, 4]`"""
    return torch.tensor([[1.0, 0, 1, 1], [0, 1, 0, 0]], dtype=torch.float64)


def layered(model: Hierarchy, name: str, **hyper: Any) -> Layered:
    """The model's objective under an estimator whose lazy layers have their size."""
    made = estimator(name, **(SMALL.get(name, {}) | hyper))
    kl, beta = ("analytic", 0.0) if model.structured else ("sampled", 1.0)
    objective = Layered(model, made.double(), kl, beta)
    assert objective.impossible(model.encode(images())) is None
    objective.estimate(model.encode(images()), images())
    objective.estimator.double()
    return objective


def learned(objective: Objective) -> list[Tensor]:
    """What a gradient is taken of."""
    return [p for p in objective.model.parameters() if p.requires_grad]


def gradient(objective: Layered, x: Tensor) -> Tensor:
    """Of the mean over `x [B, X]`, with respect to all parameters `[P]`."""
    return flat(objective.estimate(objective.model.encode(x), x).loss.mean(), learned(objective))


def flat(loss: Tensor, parameters: list[Tensor], retain: bool = False) -> Tensor:
    """The gradient of a loss as one vector."""
    grads = torch.autograd.grad(loss, parameters, allow_unused=True, retain_graph=retain)
    return torch.cat(
        [(torch.zeros_like(p) if g is None else g).flatten() for p, g in zip(parameters, grads, strict=True)]
    )


def largest(objective: Layered, wanted: Tensor) -> float:
    """By how many standard errors the mean of 200,000 draws is off the wanted gradient `[P]` of the first image, in the
    coordinate where that is most. Rounding counts as an error of 1e-5."""
    single = copy.deepcopy(objective)  # in float32, which is faster
    single.model.float(), single.estimator.float()
    x = images()[:1].float().expand(EXAMPLES, -1)
    with torch.random.fork_rng():
        torch.manual_seed(1)
        found = torch.stack([gradient(single, x) for _ in range(BATCHES)]).double()
    error = (found.std(0) / BATCHES**0.5).clamp(min=1e-5)
    return float(((found.mean(0) - wanted).abs() / error).max())


def enumerated(model: Hierarchy, x: Tensor) -> Tensor:
    """-ELBO, or -E log p(y|z_L), of each image `[B]`, state by state of all layers."""

    def rest(layer: int, q: Any, points: list[Tensor], log_q: Any, log_p: Any) -> Any:
        total: Any = 0.0
        for state in q.enumerate():
            z = state.expand(len(x), *state.shape[1:])
            at = log_q + q.log_prob(z[None])[0]
            prior = log_p + (
                model.below(layer, z).log_prob(points[-1][None])[0] if points and not model.structured else 0
            )
            every = [*points, z]
            if layer < model.layers:
                total = total + rest(layer + 1, model.above(layer + 1, z), every, at, prior)
                continue
            cost = -model.log_likelihood(x, every[-1 if model.structured else 0][None])[0]
            if not model.structured:
                cost = cost + at - prior - model.log_prior(z[None], q)[0]
            total = total + at.exp() * cost
        return total

    return rest(1, model.encode(x), [], 0.0, 0.0)


@contextmanager
def forgotten(what: str) -> Iterator[None]:
    """A mistake: layers forget what the ones after them cost (`value`), or how that depends on them (`slope`)."""
    after = Pass.after

    def wrong(self: Pass, layer: int, before: Tensor, z: Tensor) -> Tensor:
        return after(self, layer, before, z).detach() * (what == "slope")

    with patch.object(Pass, "after", wrong):
        yield


def one_by_one(objective: Chained, x: Tensor, draws: int) -> dict[str, Tensor]:
    """Block -> all gradients `[R, P]` of draws taken at once, one backward pass each."""
    q = objective.model.encode(x)
    leaf = q.params.expand(draws, *q.params.shape)
    if not leaf.requires_grad:  # of a sequence
        leaf.requires_grad_()
    shifts = [shift.requires_grad_() for shift in objective.shifts(q.with_params(leaf))]
    loss = objective.estimate(q.with_params(leaf), x, shifts).loss
    named = {n: p for n, p in objective.model.named_parameters() if p.requires_grad}
    found: dict[str, list[Tensor]] = {}
    for draw in range(draws):
        wanted = [leaf, *shifts, *named.values()]
        grads = torch.autograd.grad(
            loss[draw].mean(), wanted, retain_graph=True, allow_unused=True, materialize_grads=True
        )
        of_q, by_name = grads[: 1 + len(shifts)], dict(zip(named, grads[1 + len(shifts) :], strict=True))
        blocks = {name: g[draw].flatten() for name, g in zip(["latent", *objective.shifted], of_q, strict=True)}
        for name, grad in by_name.items():
            layer, _, kind = name.rpartition(".")
            if kind == "weight":
                bias = by_name.get(f"{layer}.bias", grad.new_zeros(0))  # codes have none
                blocks[layer] = torch.cat([grad.mT.flatten(), bias])
            elif kind != "bias":
                blocks[name] = grad.flatten()
        for name, grad in blocks.items():
            found.setdefault(name, []).append(grad)
    return {name: torch.stack(grads) for name, grads in found.items()}


def of_single_passes(objective: Chained, x: Tensor, draws: int) -> None:
    """Assert that measuring takes the gradients that one backward pass a draw gives, and their squares."""
    torch.manual_seed(2)
    tallies = take(objective, x, draws)
    torch.manual_seed(2)
    wanted = one_by_one(objective, x, draws)
    assert set(tallies) == set(wanted)
    for block, grads in wanted.items():
        found = tallies[block].vectors()
        torch.testing.assert_close(found[:-1] + found[-1], grads, rtol=1e-9, atol=1e-12)
        squares = (grads - found[-1]).square().sum(1)
        torch.testing.assert_close(tallies[block].squares, squares, rtol=1e-9, atol=1e-12)
