"""The bound of a sequence, each step's latent under its own copy of one estimator.

A sequence is a chain of layers (`bench.model.layered`) with shared weights and an observation at each step. With
f_t = -log p(x_t|h_t, z_t) and K_t = KL(q(z_t|h_t, x_t) || p(z_t|h_t)), -ELBO is E sum_t (f_t + beta K_t), and the
estimator of step t is called on q(z_t|h_t, x_t) with the cost

    cost_t(z_t) = f_t(h_t, z_t) + what the steps after t cost, given h_{t+1} = GRU(h_t, z_t)

K_t needs no point of step t, so it stands beside the estimate of step t and in the costs of the steps before it. With
`objective.kl=sampled` log q(z_t) - log p(z_t) is part of f_t instead. h_t keeps its graph: the weights get their
gradient along the states too, at fixed latents, whatever the estimator.

An estimator that asks for values alone has, for every evaluation of step t, all later steps sampled. Here an
evaluation is of one step, and a step that is sampled for another is one more: K samples cost K T (T + 1) / 2.

With weights a of the dynamics and b of the representation that are not 1 no function has this gradient. What z_t does
to later K by their values is weighed by beta; their derivatives for p and for q, along h_t as well, by beta a and beta
b. So an estimator that passes slopes on to z_t passes these on, as Dreamer does.
"""

import copy
from collections.abc import Sequence

import torch
from torch import Tensor

from bench.model.chain import Bound, Pass
from bench.model.layered import Chained
from bench.model.objective import Watch
from bench.model.rssm import RSSM
from bench.streams import own_stream
from estimators import Cost, Latent

LIMIT = 2**14  # evaluations at the last step, of an estimator that has several inside each of another's


class StepPass(Pass):
    """Of an `RSSM`: what a step is given is its state h_t."""

    def __init__(self, bound: Bound, x: Tensor, watch: Watch, shifts: Sequence[Tensor]):
        super().__init__(bound, x, watch, shifts)
        self.model: RSSM = bound.model

    def begin(self, q: Latent) -> tuple[Latent, Tensor]:
        state = self.model.begin(q.batch_shape, self.x)
        own = self.model.above(1, state, self.x).params
        return q.with_params(q.params + (own - own.detach())), state  # the bracket is 0, with the weights' gradient

    def onward(self, layer: int, before: Tensor, z: Tensor) -> Tensor:
        return self.model.onward(before, z)

    def conditional(self, layer: int, before: Tensor) -> Latent:
        return self.model.above(layer, before, self.x)

    def features(self, layer: int, q: Latent, before: Tensor) -> Tensor:
        frame = self.model.frame(layer, self.x)
        if layer == 1:
            return frame
        return torch.cat([frame.expand(*before.shape[:-1], frame.shape[-1]), before.detach()], -1)

    def own(self, layer: int, z: Tensor, q: Latent, frozen: Latent, before: Tensor) -> Tensor:
        nats = -self.model.log_step(layer, self.x, before, z)
        if self.bound.kl != "sampled":
            return nats
        return nats - self.bound.beta * (self.model.ahead(before).log_prob(z) - q.log_prob(z))

    def known(self, layer: int, q: Latent, before: Tensor) -> Tensor | None:
        return None if self.bound.kl == "sampled" else self.bound.beta * self.model.divergence(q, before)

    def sampled(self, cost: Cost, q: Latent) -> Cost:
        return self.watch(cost, q)


class Stepped(Chained):
    """The objective of an `RSSM`."""

    passes, forms = StepPass, ("analytic", "sampled")
    model: RSSM

    def impossible(self, q: Latent) -> str | None:
        weights = (self.model.dynamics, self.model.representation)
        if self.kl == "sampled" and weights != (1, 1):
            return "The weights of model.balance are of the KL in closed form: set objective.kl=analytic."
        if reason := super().impossible(q):
            return reason
        last = self.model.layers
        if not self.nested or self.estimator.noiseless or (each := self._evaluations(q)) ** last <= LIMIT:
            return None
        return (
            f"{self.estimator.name} differentiates {each} evaluations of a step, and inside each of them {each} of the "
            f"next: {each}^{last} at the last of {last} steps; take k=1, an estimator that asks for values alone, or "
            "fewer steps."
        )

    def _evaluations(self, q: Latent) -> int:
        """How many points one estimator asks a cost for."""
        points = [0]

        def cost(z: Tensor, q: Latent | None = None) -> Tensor:
            points.append(len(z))
            return z.flatten(-own.point_ndim).sum(-1)

        own = q.with_params(q.params.new_zeros(1, *self.model.shapes[-1]))
        with own_stream(0, "how many evaluations"):
            copy.deepcopy(self.estimator.layers[-1])(
                own, cost, self.model.frame(1, q.params.new_zeros(1, self._pixels()))
            )
        return sum(points)

    def _pixels(self) -> int:
        return self.model.layers * len(self.model.centre)

    def fixed(self, q: Latent) -> Tensor:
        """Nothing: every KL is in the estimate, where its graph is."""
        return torch.zeros((), dtype=q.params.dtype, device=q.params.device).expand(q.batch_shape)
