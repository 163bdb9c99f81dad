"""One pass through the layers of a `Hierarchy`: what each costs, and what its estimator makes of that.

How the layers hang together is said in `bench.model.layered`.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from bench.model.objective import Watch
from estimators import Cost, Estimate, Latent


class Bound(NamedTuple):
    """What is estimated, and by what.

    Attributes:
        model: with L layers.
        estimators: one for each layer.
        beta: weight of the KL.
        nested: whether what comes after a layer is an estimate inside its own.
        noiseless: whether nothing is drawn.
    """

    model: Any  # a `Hierarchy`, or a `bench.model.residual.Residual`
    estimators: nn.ModuleList
    beta: float
    nested: bool
    noiseless: bool


class Pass:
    """One pass through all layers.

    Args:
        bound: what is estimated.
        x: images `[B, X]`.
        watch: what becomes of every cost that an estimator is given.
        shifts: as of `Objective.shifts`, or none.
    """

    def __init__(self, bound: Bound, x: Tensor, watch: Watch, shifts: Sequence[Tensor]):
        self.model, self.estimators, self.beta, self.nested, self.noiseless = bound
        self.x, self.watch, self.moved, self.last = x, watch, shifts, bound.model.layers
        self.seen: list[list[Estimate]] = [[] for _ in self.estimators]  # of each layer
        self.inside: list[list[Estimate]] = [[] for _ in self.estimators]  # those inside the derivative of a cost

    def take_sizes(self, q: Latent) -> None:
        """Let every estimator make its lazy layers, the last first: inside the derivative of another they cannot be."""
        calls = [(q, self.x)]
        for layer in range(2, self.last + 1):
            z = calls[-1][0].sample(1)
            calls.append((self.above(layer, z), z))
        for layer in range(self.last, 0, -1):
            self.layer(layer, *calls[layer - 1])

    def estimate(self, q: Latent) -> Estimate:
        """Of all layers, for q of layer 1."""
        estimate = self.layer(1, q, self.x)
        loss, z = estimate.loss, None
        for layer in range(2, 2 if self.nested else self.last + 1):
            z = q.sample(1) if z is None else q.sample(1)[0]  # [1, ..., B, *]: the axis of samples stays in front
            q = self.above(layer, z)
            loss = loss + self.layer(layer, q, z).loss[0]
        return self.gathered(loss, estimate.cost)

    def gathered(self, loss: Tensor, cost: Tensor) -> Estimate:
        """The estimate of all layers, with that of each."""
        found = [seen or inside for seen, inside in zip(self.seen, self.inside, strict=True)]
        layers = tuple(_mean(estimates, loss.shape) for estimates in found)
        tunings = [each.tuning for each in layers if each.tuning is not None]
        return Estimate(loss, cost, torch.stack(tunings).sum(0) if tunings else None, layers)

    def above(self, layer: int, z: Tensor) -> Latent:
        """q of a layer, given points `z [..., B, *]` of the one before it."""
        q = self.model.above(layer, z)
        return q.with_params(q.params + self.moved[layer - 2]) if self.moved else q

    def features(self, layer: int, q: Latent, before: Any) -> Tensor:
        """What the estimator of a layer reads of the data: of the layer before, or of the images."""
        return before if layer == 1 else self.model.read(before)

    def layer(self, layer: int, q: Latent, before: Any) -> Estimate:
        """Of one layer, given points `before [..., B, *]` of the layer before it, or the images."""
        cost = self.watch(self.cost(layer, q, before), q)
        estimate = self.estimators[layer - 1](q, cost, self.features(layer, q, before))
        tuning = None if estimate.tuning is None else outermost(estimate.tuning)
        outside = Estimate(estimate.loss, outermost(estimate.cost), tuning)
        (self.seen if outside.cost is estimate.cost else self.inside)[layer - 1].append(outside)
        return estimate

    def cost(self, layer: int, q: Latent, before: Any) -> Cost:
        """cost_l for these points of the layer before."""
        model, frozen, last = self.model, q.detach(), layer == self.last

        def cost(z: Tensor, q: Latent | None = None) -> Tensor:
            if not last and not self.noiseless:  # a point that examples share goes on to a sample of each
                z = z.expand(len(z), *frozen.batch_shape, *z.shape[z.ndim - frozen.point_ndim :])
            nats = z.new_zeros(())
            if layer == (self.last if model.structured else 1):
                nats = -model.log_likelihood(self.x, z)
            if not model.structured:
                log_u = -(frozen if q is None else q).log_prob(z)
                log_u = log_u + model.below(layer, z).log_prob(before) if layer > 1 else log_u
                nats = nats - self.beta * (model.log_prior(z, frozen) + log_u if last else log_u)
            return nats if last else nats + self.after(layer, z)

        return cost

    def after(self, layer: int, z: Tensor) -> Tensor:
        """What the layers after this one cost `[K, ..., B]`, given points `z [K, ..., B, *]` of it."""
        if self.nested:
            estimate = self.layer(layer + 1, self.above(layer + 1, z), z)
            return estimate.cost.detach() + (estimate.loss - estimate.loss.detach())
        with torch.no_grad():
            q = self.above(layer + 1, z)
            return self.cost(layer + 1, q, z)(q.sample(1)).squeeze(0)


def outermost(value: Tensor) -> Tensor:
    """The tensor in the surrounding graph, also where an estimator calls the cost inside `torch.func.vjp`."""
    while torch._C._functorch.is_gradtrackingtensor(value):
        value = torch._C._functorch.get_unwrapped(value)
    return value


def _mean(found: list[Estimate], shape: torch.Size) -> Estimate:
    """What was estimated of a layer, as its mean over all axes in front of the batch `shape [..., B]`."""

    def mean(values: list[Tensor]) -> Tensor:
        each = [v.flatten(0, v.ndim - len(shape) - 1).mean(0) if v.ndim > len(shape) else v for v in values]
        return torch.stack(each).mean(0)

    cost = mean([each.cost.detach() for each in found]).expand(shape)
    tunings = [each.tuning for each in found if each.tuning is not None]
    return Estimate(cost, cost, mean(tunings) if tunings else None)
