"""Estimators whose estimates are wrong: their mean, value, shape, type, or that of the decoder's gradient."""

import math

import torch
from torch import Tensor

from estimators import Bernoulli, Categorical, Cost, Discrete, Estimate, Estimator, Gaussian, Latent, as_loss
from tests.support.right import Right


class ProductOfAverages(Right):
    """A RELAX that averages the rewards and the scores apart and multiplies the averages: its mean shrinks by 1 / K."""

    latents = (Bernoulli, Categorical)
    evaluations = "3k / 2k"

    def forward(self, q: Discrete, cost: Cost, x: Tensor) -> Estimate:
        def control(logits: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor]]:
            posterior = q.with_logits(logits)
            perturbed = posterior.perturbed(self.k)
            z = posterior.harden(perturbed.detach())
            given = cost(posterior.soften(posterior.conditional(z), 0.5))
            return cost(posterior.soften(perturbed, 0.5)) - given, (z, given)

        difference, pull, (z, given) = torch.func.vjp(control, q.natural.detach(), has_aux=True)
        (pathwise,) = pull(torch.ones_like(difference))
        c = cost(z)
        reward = (c.detach() - given).mean(0)[(..., *[None] * q.event_ndim)]
        gradient = reward * (z - q.probs.detach()).mean(0) + pathwise / self.k
        return Estimate(as_loss(q, gradient) + c.mean(0), c.mean(0))


class StraightThroughUnbiased(Right):
    """Straight-through that calls itself unbiased."""

    evaluations = "k / k"

    def forward(self, q: Discrete, cost: Cost, x: Tensor) -> Estimate:
        c = cost(q.sample(self.k) + (q.probs - q.probs.detach()))
        return Estimate(c.mean(0), c.mean(0))


class LostHalf(Estimator):
    """DisARM without its 1/2."""

    latents = (Bernoulli,)
    unbiased = True
    evaluations = "2 / 0"

    def forward(self, q: Bernoulli, cost: Cost, x: Tensor) -> Estimate:
        u, threshold = q.uniform(1), torch.sigmoid(-q.logits.detach())
        b, antithetic = (u > threshold).to(u.dtype), (1 - u > threshold).to(u.dtype)
        c = cost(torch.cat([b, antithetic]))
        gradient = ((c[:1] - c[1:]).detach().unsqueeze(-1) * (b - antithetic)).squeeze(0)
        return Estimate(as_loss(q, gradient * torch.sigmoid(q.logits.detach().abs())) + c.mean(0), c.mean(0))


class BoundStickingTheLanding(Right):
    """The path derivative of a K-sample bound, called unbiased: for K > 1 the dropped score has a mean."""

    latents = (Gaussian,)
    objective = "iwae"
    evaluations = "k / k"

    def forward(self, q: Gaussian, cost: Cost, x: Tensor) -> Estimate:
        bound = math.log(self.k) - (-cost(q.rsample(self.k))).logsumexp(0)
        return Estimate(bound, bound)


class SumAtLargerK(Right):
    """A sum over K where the mean belongs, which k = 1 does not show."""

    def __init__(self, k: int = 1):
        super().__init__(k)

    def finish(self, c: Tensor, log_q: Tensor) -> Estimate:
        return Estimate((c.detach() * log_q).sum(0) + c.mean(0), c.mean(0))


class NotANumber(Right):
    """The gradient is log 0 times 0 wherever a bit is 0."""

    def forward(self, q: Latent, cost: Cost, x: Tensor) -> Estimate:
        z = q.sample(self.k)
        c = cost(z)
        return self.finish(c, q.log_prob(z) * (1 + 0 * z.log().sum(-1)))


class Crash(Right):
    """It asks for what there is not."""

    def finish(self, c: Tensor, log_q: Tensor) -> Estimate:
        raise KeyError("no such thing")


class SummedOverBatch(Right):
    """One number for the batch where there should be one for each example."""

    def finish(self, c: Tensor, log_q: Tensor) -> Estimate:
        return Estimate((c.detach() * log_q + c).mean(0).sum(), c.mean(0))


class SinglePrecision(Right):
    """It rounds q's numbers to float32."""

    def finish(self, c: Tensor, log_q: Tensor) -> Estimate:
        return super().finish(c.float(), log_q.float())


class NoDecoder(Right):
    """The cost is detached throughout, so the decoder never learns."""

    def finish(self, c: Tensor, log_q: Tensor) -> Estimate:
        return Estimate((c.detach() * log_q).mean(0), c.mean(0))


class DecoderTwice(Right):
    """The decoder's gradient is doubled."""

    def finish(self, c: Tensor, log_q: Tensor) -> Estimate:
        return Estimate((c.detach() * log_q + 2 * c).mean(0), c.mean(0))


class WrongValue(Right):
    """The logged cost is that of the cheapest sample."""

    def finish(self, c: Tensor, log_q: Tensor) -> Estimate:
        return super().finish(c, log_q)._replace(cost=c.amin(0))


class MovesWithConstant(Right):
    """Unbiased for small costs alone: a clipped reward."""

    def finish(self, c: Tensor, log_q: Tensor) -> Estimate:
        return Estimate((c.detach().clamp(max=2.5) * log_q + c).mean(0), c.mean(0))
