"""The bound of residual quantisation, each stage under its own copy of one estimator.

Stages hang together as layers do in `bench.model.layered`, and what an estimator asks of a cost decides in the same way
how the later ones come in. What differs is what a stage is conditioned on: on the encoder's vectors v as well as on the
codes before it, through rest_s = v - code_1 - ... - code_{s-1}. So v is reached from every stage.

    cost_s(z_s) = what the stages after s cost, given z_1 ... z_s;   of the last, -log p(x|code_1 + ... + code_R)

With `objective.kl=analytic`, beta KL(q_s || p_s) is a term of the loss for every stage s, and a part of what the stages
before it cost: it depends on their codes. With `sampled`, log q_s - log p_s is in cost_s.

`residual_detach` says whether the codes are constants in the rest. A score-function estimator, or the exact gradient,
has the same gradient for the encoder either way, since a code is a number there. A pathwise one has not: straight-
through past R stages adds up R gradients where they are, and one where they are not.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from bench.model.chain import Bound, Pass
from bench.model.hierarchy import Hierarchy
from bench.model.layered import Layered
from bench.model.objective import Objective, Watch, unwatched
from bench.model.residual import Residual
from bench.model.vae import Model
from estimators import VQ, Cost, Estimate, Estimator, Latent


class StagePass(Pass):
    """One pass through all stages, for q of the first; `analytic`: the KL of a stage is taken as known."""

    model: Residual

    def __init__(self, bound: Bound, q: Latent, x: Tensor, watch: Watch, shifts: Sequence[Tensor], analytic: bool):
        super().__init__(bound, x, watch, shifts)
        self.vectors, self.analytic = q.params, analytic

    def posterior(self, stage: int, total: Tensor | None) -> VQ:
        """q of a stage, given the sum of the codes `[..., B, N, d]` before it. A shift moves it alone, and not what is
        left to the next."""
        q = self.model.codebook.posterior(stage, self.vectors, total)
        # never the very tensor of the encoder, which the costs of earlier stages depend on too
        return q.with_params(q.params + self.moved[stage - 1] if self.moved else q.params.view_as(q.params))

    def take_sizes(self, q: Latent) -> None:
        calls: list[tuple[int, VQ, Tensor | None]] = []
        total = None
        for stage in range(1, self.last + 1):
            its_q = self.posterior(stage, total)
            calls.append((stage, its_q, total))
            total = self.model.codebook.added(stage, its_q.sample(1), total)
        for call in reversed(calls):
            self.layer(*call)

    def estimate(self, q: Latent) -> Estimate:
        total, first, loss = None, None, q.params.new_zeros(())
        for stage in range(1, 2 if self.nested else self.last + 1):
            its_q = self.posterior(stage, total)
            estimate = self.layer(stage, its_q, total)
            own = estimate.loss + self.divergence(stage, its_q)
            loss, first = loss + (own[0] if first else own), first or estimate
            if not self.nested and stage < self.last:
                z = its_q.sample(1)  # [1, ..., B, N, C]: the axis of samples stays in front
                total = self.model.codebook.added(stage, z if stage == 1 else z[0], total)
        assert first is not None
        return self.gathered(loss, first.cost)

    def features(self, layer: int, q: Latent, before: Tensor | None) -> Tensor:
        """What the codes before leave of the encoder's vectors; the images, of the first stage."""
        return self.x if before is None else q.params.detach().flatten(-2)

    def divergence(self, stage: int, q: Latent) -> Tensor:
        """beta KL(q_s || p_s) `[..., B]` where it is no part of the cost."""
        if not (self.analytic and self.beta):
            return q.params.new_zeros(())
        return self.beta * q.kl(self.model.prior_of(stage))

    def cost(self, layer: int, q: Latent, before: Tensor | None) -> Cost:
        """cost_s, given the sum of the codes before."""
        model, frozen, last = self.model, q.detach(), layer == self.last

        def cost(z: Tensor, q: Latent | None = None) -> Tensor:
            if not last and not self.noiseless:  # a point that examples share goes on to a sample of each
                z = z.expand(len(z), *frozen.batch_shape, *z.shape[z.ndim - frozen.point_ndim :])
            nats = z.new_zeros(())
            if not self.analytic and self.beta:
                log_p = (model.prior_of(layer) or frozen.standard()).log_prob(z)
                nats = self.beta * ((frozen if q is None else q).log_prob(z) - log_p)
            total = model.codebook.added(layer, z, before)
            return nats + (-model.log_likelihood(self.x, total) if last else self.after(layer, total))

        return cost

    def after(self, layer: int, z: Tensor) -> Tensor:
        """What the stages after this one cost `[K, ..., B]`, given the sum of codes `z [K, ..., B, N, d]` so far."""
        if self.nested:
            q = self.posterior(layer + 1, z)
            estimate = self.layer(layer + 1, q, z)
            slope = estimate.loss - estimate.loss.detach()
            return estimate.cost.detach() + slope + self.divergence(layer + 1, q)
        with torch.no_grad():
            q = self.posterior(layer + 1, z)
            return self.cost(layer + 1, q, z)(q.sample(1)).squeeze(0) + self.divergence(layer + 1, q)


class Staged(Layered):
    """The objective of a `Residual`; its estimator is one for each stage."""

    model: Residual  # type: ignore[assignment]
    forms = ("analytic", "sampled")

    def shifts(self, q: Latent) -> list[Tensor]:
        """A zero for each stage, the first too: the encoder's vectors bear on all of them."""
        return [torch.zeros_like(q.params) for _ in range(self.model.layers)]

    @property
    def shifted(self) -> list[str]:
        return [f"stage.{stage}" for stage in range(1, self.model.layers + 1)]

    def draw(self, q: Latent, x: Tensor, watch: Watch = unwatched, shifts: Sequence[Tensor] = ()) -> Estimate:
        estimator, analytic = self.estimator, self.kl == "analytic"
        bound = Bound(self.model, estimator.layers, self.beta, self.nested, estimator.noiseless)
        if self.nested and any(nn.parameter.is_lazy(p) for p in estimator.parameters()):
            StagePass(bound, q, x, unwatched, (), analytic).take_sizes(q)
        return StagePass(bound, q, x, watch, shifts, analytic).estimate(q)

    def fixed(self, q: Latent) -> Tensor:
        """The codebook losses of all stages `[..., B]`; the KL is in the estimate."""
        assert isinstance(q, VQ)
        return self.model.codebook.loss(q)


def objective(model: Model, estimator: Estimator, kl: str = "analytic", beta: float = 1.0) -> Objective:
    """The objective of any model, with this estimator."""
    if isinstance(model, Residual):
        return Staged(model, estimator, kl, beta)  # type: ignore[arg-type]
    return (Layered if isinstance(model, Hierarchy) else Objective)(model, estimator, kl, beta)  # type: ignore[arg-type]
