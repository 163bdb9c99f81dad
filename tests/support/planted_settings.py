"""Estimators that are right at the defaults and wrong in another setting."""

import math

import torch
from torch import Tensor

from estimators import VQ, Bernoulli, Categorical, Cost, Estimate, Gaussian, Latent
from tests.support.right import Right


def shrunk(estimate: Estimate, factor: float | Tensor, q: Latent) -> Estimate:
    """The same with this factor on q's gradient and on the decoder's."""
    return estimate._replace(loss=factor * estimate.loss)


class Subtle(Right):
    latents = (Gaussian, Bernoulli, Categorical, VQ)

    def factor(self, q: Latent, x: Tensor) -> float | Tensor:
        return 1.0

    def forward(self, q: Latent, cost: Cost, x: Tensor) -> Estimate:
        return shrunk(super().forward(q, cost, x), self.factor(q, x), q)


class ShortInBatches(Subtle):
    """10 % short wherever there is more than one example."""

    def factor(self, q: Latent, x: Tensor) -> float:
        return 0.9 if q.batch_shape[-1] > 1 else 1.0


class ShortInReplicasOfReplicas(Subtle):
    """10 % short where there are seeds and replicas."""

    def factor(self, q: Latent, x: Tensor) -> float:
        return 0.9 if len(q.batch_shape) > 2 else 1.0


class HalfInSinglePrecision(Subtle):
    """Half as large in float32."""

    def factor(self, q: Latent, x: Tensor) -> float:
        return 0.5 if q.params.dtype == torch.float32 else 1.0


class ShortAtMultiplesOfThree(Subtle):
    """10 % off where k is a multiple of 3."""

    def factor(self, q: Latent, x: Tensor) -> float:
        return 1.0 if self.k % 3 else 0.9


class ShortAtEvenCategories(Subtle):
    """Wrong where the number of categories is even."""

    latents = (Categorical, VQ)

    def factor(self, q: Latent, x: Tensor) -> float:
        assert isinstance(q, Categorical | VQ)
        return 0.9 if q.logits.shape[-1] % 2 == 0 else 1.0


class HalfAtBinaryData(Subtle):
    """Half as large where x is binary."""

    def factor(self, q: Latent, x: Tensor) -> Tensor:
        return 1 - 0.5 * ((x == 0) | (x == 1)).all(-1).to(x.dtype)


class ShortAtLargeCosts(Right):
    """It clips costs at 30 nats."""

    def finish(self, c: Tensor, log_q: Tensor) -> Estimate:
        return Estimate((c.detach().clamp(-30, 30) * log_q + c).mean(0), c.mean(0))


class HalfAfterTenUpdates(Subtle):
    """Half as large after ten updates, counted in a buffer as it should be."""

    def __init__(self, k: int = 2):
        super().__init__(k)
        self.register_buffer("steps", torch.tensor(0))

    def factor(self, q: Latent, x: Tensor) -> Tensor:
        return torch.where(self.steps >= 10, 0.5, 1.0)

    def update(self, estimate: Estimate) -> None:
        self.steps += 1


class ClippedLogits(Right):
    """Logits clipped at +-3 inside the score."""

    latents = (Bernoulli, Categorical)

    def forward(self, q: Latent, cost: Cost, x: Tensor) -> Estimate:
        z = q.sample(self.k)
        return self.finish(cost(z), q.with_params(q.params.clamp(-3, 3)).log_prob(z))


class ClippedStd(Right):
    """Log standard deviations clipped at +-2 inside the score."""

    latents = (Gaussian,)

    def forward(self, q: Latent, cost: Cost, x: Tensor) -> Estimate:
        assert isinstance(q, Gaussian)
        z = q.mean.detach() + q.std.detach() * q.normal(self.k)
        return self.finish(cost(z), Gaussian(torch.cat([q.mean, q.log_std.clamp(-2, 2)], -1)).log_prob(z))


class FirstThree(Right):
    """Only the first three coordinates are scored."""

    latents = (Gaussian, Bernoulli, Categorical)

    def forward(self, q: Latent, cost: Cost, x: Tensor) -> Estimate:
        z = q.sample(self.k)
        if isinstance(q, Gaussian):
            short: Latent = Gaussian(torch.cat([q.mean[..., :3], q.log_std[..., :3]], -1))
            return self.finish(cost(z), short.log_prob(z[..., :3]))
        part = (..., slice(3)) if isinstance(q, Bernoulli) else (..., slice(3), slice(None))
        return self.finish(cost(z), q.with_params(q.params[part]).log_prob(z[part]))


class LeaveOneOutOfMany(Right):
    """Leave-one-out without K / (K - 1) from k = 6 on."""

    latents = (Gaussian, Bernoulli, Categorical, VQ)

    def __init__(self, k: int = 2):
        if k < 2:
            raise ValueError(f"It leaves one sample out, so it needs k >= 2; got k={k}.")
        super().__init__(k)

    def finish(self, c: Tensor, log_q: Tensor) -> Estimate:
        scale = self.k / (self.k - 1) if self.k < 6 else 1.0
        return Estimate((scale * (c - c.mean(0)).detach() * log_q + c).mean(0), c.mean(0))


class BoundOfMany(Right):
    """A K-sample bound that is wrong for K > 8."""

    latents = (Gaussian, Bernoulli)
    objective = "iwae"

    def forward(self, q: Latent, cost: Cost, x: Tensor) -> Estimate:
        z = q.sample(self.k)
        c = cost(z, q)
        bound = (-c).logsumexp(0) - math.log(self.k)
        loss = -(bound.detach() * q.log_prob(z).sum(0) + bound)
        return Estimate(loss * (0.9 if self.k > 8 else 1.0), -bound)
