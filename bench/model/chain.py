"""One pass through a chain of latents: what each costs, and what its estimator makes of that.

How they hang together is said in `bench.model.layered` of layers, in `bench.model.staged` of stages, and in
`bench.model.steps` of the steps of a sequence.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from bench.model.objective import Watch
from estimators import Cost, Estimate, Latent


class Bound(NamedTuple):
    """What is estimated, and by what.

    Attributes:
        model: with L layers, stages or steps.
        estimators: one for each layer.
        beta: weight of the KL.
        nested: whether what comes after a layer is an estimate inside its own.
        noiseless: whether nothing is drawn.
        kl: as of `Objective`.
    """

    model: Any  # a `Hierarchy`, a `Residual` or an `RSSM`
    estimators: nn.ModuleList
    beta: float
    nested: bool
    noiseless: bool
    kl: str = "sampled"


class Pass(ABC):
    """One pass through all layers, stages or steps. `before` is what one is given by those before it.

    Args:
        bound: what is estimated.
        x: images `[B, X]`.
        watch: what becomes of every cost that an estimator is given.
        shifts: as of `Objective.shifts`, or none.
    """

    def __init__(self, bound: Bound, x: Tensor, watch: Watch, shifts: Sequence[Tensor]):
        self.bound, self.last, self.nested = bound, len(bound.estimators), bound.nested
        self.x, self.watch, self.shifts = x, watch, shifts
        self.seen: list[list[Estimate]] = [[] for _ in bound.estimators]  # of each layer
        self.inside: list[list[Estimate]] = [[] for _ in bound.estimators]  # those inside the derivative of a cost

    @abstractmethod
    def begin(self, q: Latent) -> tuple[Latent, Any]:
        """q of layer 1 with its graph, and what that layer is given, for q as the model's `encode` has it."""

    @abstractmethod
    def onward(self, layer: int, before: Any, z: Tensor) -> Any:
        """What a layer after the first is given, at points `z [..., B, *]` of the one before it, given `before`."""

    @abstractmethod
    def conditional(self, layer: int, before: Any) -> Latent:
        """q of a layer after the first, for what it is given."""

    @abstractmethod
    def features(self, layer: int, q: Latent, before: Any) -> Tensor:
        """What the estimator of a layer reads of what that is given."""

    @abstractmethod
    def own(self, layer: int, z: Tensor, q: Latent, frozen: Latent, before: Any) -> Tensor:
        """The terms f_l of a layer `[K, ..., B]` at points `z [K, ..., B, *]`."""

    def known(self, layer: int, q: Latent, before: Any) -> Tensor | None:
        """The terms of a layer that need no point of it `[..., B]`, or None."""
        return None

    def take_sizes(self, q: Latent) -> None:
        """Let every estimator make its lazy layers, the last first: inside the derivative of another they cannot be."""
        calls = [self.begin(q)]
        for layer in range(2, self.last + 1):
            q, before = calls[-1]
            calls.append(self.next(layer, before, q.sample(1)))
        for layer in range(self.last, 0, -1):
            self.layer(layer, *calls[layer - 1])

    def estimate(self, q: Latent) -> Estimate:
        """Of all layers, for q of layer 1."""
        q, before = self.begin(q)
        estimate = self.layer(1, q, before)
        loss = plus(estimate.loss, self.known(1, q, before))
        for layer in range(2, 2 if self.nested else self.last + 1):
            z = q.sample(1) if layer == 2 else q.sample(1)[0]  # [1, ..., B, *]: the axis of samples stays in front
            q, before = self.next(layer, before, z)
            loss = loss + plus(self.layer(layer, q, before).loss, self.known(layer, q, before)).squeeze(0)
        found = [seen or inside for seen, inside in zip(self.seen, self.inside, strict=True)]
        layers = tuple(_mean(estimates, loss.shape) for estimates in found)
        tunings = [each.tuning for each in layers if each.tuning is not None]
        return Estimate(loss, estimate.cost, torch.stack(tunings).sum(0) if tunings else None, layers)

    def next(self, layer: int, before: Any, z: Tensor) -> tuple[Latent, Any]:
        """q of a layer and what it is given, after points `z [..., B, *]` of the one before it, given `before`."""
        before = self.onward(layer, before, z)
        return self.moved(layer, self.conditional(layer, before)), before

    def moved(self, layer: int, q: Latent) -> Latent:
        """q with the shift of this layer, where there are any; they are of the last layers, and of the first or not."""
        return q.with_params(q.params + self.shifts[layer - 1 - self.last]) if self.shifts else q

    def layer(self, layer: int, q: Latent, before: Any) -> Estimate:
        """Of one layer."""
        cost = self.watch(self.cost(layer, q, before), q)
        estimate = self.bound.estimators[layer - 1](q, cost, self.features(layer, q, before))
        tuning = None if estimate.tuning is None else outermost(estimate.tuning)
        outside = Estimate(estimate.loss, outermost(estimate.cost), tuning)
        (self.seen if outside.cost is estimate.cost else self.inside)[layer - 1].append(outside)
        return estimate

    def cost(self, layer: int, q: Latent, before: Any) -> Cost:
        """cost_l for what this layer is given."""
        frozen, last = q.detach(), layer == self.last

        def cost(z: Tensor, q: Latent | None = None) -> Tensor:
            if not last and not self.bound.noiseless:  # a point that examples share goes on to a sample of each
                z = z.expand(len(z), *frozen.batch_shape, *z.shape[z.ndim - frozen.point_ndim :])
            nats = self.own(layer, z, frozen if q is None else q, frozen, before)
            return nats if last else nats + self.after(layer, before, z)

        return cost

    def after(self, layer: int, before: Any, z: Tensor) -> Tensor:
        """What the layers after this one cost `[K, ..., B]`, given points `z [K, ..., B, *]` of it."""
        if self.nested:
            q, following = self.next(layer + 1, before, z)
            estimate = self.layer(layer + 1, q, following)
            nats = estimate.cost.detach() + (estimate.loss - estimate.loss.detach())
            return plus(nats, self.known(layer + 1, q, following))
        with torch.no_grad():
            q, following = self.next(layer + 1, before, z)
            nats = self.sampled(self.cost(layer + 1, q, following), q)(q.sample(1)).squeeze(0)
            return plus(nats, self.known(layer + 1, q, following))

    def sampled(self, cost: Cost, q: Latent) -> Cost:
        """The cost of a layer that is sampled for an evaluation of one before it."""
        return cost


def plus(nats: Tensor, more: Tensor | None) -> Tensor:
    """The sum, where there is more."""
    return nats if more is None else nats + more


def outermost(value: Tensor) -> Tensor:
    """The tensor in the surrounding graph, also where an estimator calls the cost inside `torch.func.vjp`."""
    while torch._C._functorch.is_gradtrackingtensor(value):
        value = torch._C._functorch.get_unwrapped(value)
    return value


def _mean(found: list[Estimate], shape: torch.Size) -> Estimate:
    """What was estimated of a layer, as its mean over all axes in front of the batch `shape [..., B]`."""

    def mean(values: list[Tensor]) -> Tensor:
        rows = [v.flatten(0, v.ndim - len(shape) - 1) if v.ndim > len(shape) else v[None] for v in values]
        each = [v.mean(0) if len(v) > 1 else v[0] for v in rows]
        return torch.stack(each).mean(0) if len(each) > 1 else each[0]

    cost = mean([each.cost.detach() for each in found]).expand(shape)
    tunings = [each.tuning for each in found if each.tuning is not None]
    return Estimate(cost, cost, mean(tunings) if tunings else None)
