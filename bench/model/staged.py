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
from torch import Tensor

from bench.model.chain import Bound, Pass
from bench.model.layered import Chained
from bench.model.objective import Watch
from bench.model.residual import Residual
from estimators import VQ, Latent


class StagePass(Pass):
    """Of a `Residual`: what a stage is given is the sum of the codes `[..., B, N, d]` before it, or None."""

    def __init__(self, bound: Bound, x: Tensor, watch: Watch, shifts: Sequence[Tensor]):
        super().__init__(bound, x, watch, shifts)
        self.model: Residual = bound.model

    def begin(self, q: Latent) -> tuple[Latent, None]:
        self.vectors = q.params
        return self.moved(1, self.conditional(1, None)), None

    def onward(self, layer: int, before: Tensor | None, z: Tensor) -> Tensor:
        return self.model.codebook.added(layer - 1, z, before)

    def conditional(self, layer: int, before: Tensor | None) -> Latent:
        """Before its shift, which moves it alone, and not what is left to the next."""
        q = self.model.codebook.posterior(layer, self.vectors, before)
        # never the very tensor of the encoder, which the costs of earlier stages depend on too
        return q.with_params(q.params.view_as(q.params))

    def features(self, layer: int, q: Latent, before: Tensor | None) -> Tensor:
        """What the codes before leave of the encoder's vectors; the images, of the first stage."""
        return self.x if before is None else q.params.detach().flatten(-2)

    def own(self, layer: int, z: Tensor, q: Latent, frozen: Latent, before: Tensor | None) -> Tensor:
        nats = z.new_zeros(())
        if self.bound.kl == "sampled" and self.bound.beta:
            log_p = (self.model.prior_of(layer) or frozen.standard()).log_prob(z)
            nats = self.bound.beta * (q.log_prob(z) - log_p)
        if layer < self.last:
            return nats
        return nats - self.model.log_likelihood(self.x, self.model.codebook.added(layer, z, before))

    def known(self, layer: int, q: Latent, before: Tensor | None) -> Tensor | None:
        if self.bound.kl == "sampled" or not self.bound.beta:
            return None
        return self.bound.beta * q.kl(self.model.prior_of(layer))


class Staged(Chained):
    """The objective of a `Residual`."""

    passes, forms = StagePass, ("analytic", "sampled")
    model: Residual

    def shifts(self, q: Latent) -> list[Tensor]:
        """A zero for each stage, the first too: the encoder's vectors bear on all of them."""
        return [torch.zeros_like(q.params) for _ in range(self.model.layers)]

    @property
    def shifted(self) -> list[str]:
        return [f"stage.{stage}" for stage in range(1, self.model.layers + 1)]

    def fixed(self, q: Latent) -> Tensor:
        """The codebook losses of all stages `[..., B]`; the KL is in the estimate."""
        assert isinstance(q, VQ)
        return self.model.codebook.loss(q)
