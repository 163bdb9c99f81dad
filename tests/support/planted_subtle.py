"""Estimators that are right at the defaults and wrong somewhere else, or wrong by little."""

import math

import torch
from torch import Tensor, nn

from estimators import VQ, Bernoulli, Categorical, Cost, Estimate, Estimator, Gaussian, Latent, as_loss
from tests.support.right import Right

CALLS = 0
STEPS: list[int] = []


def shrunk(estimate: Estimate, factor: float | Tensor, q: Latent) -> Estimate:
    """The same with this factor on q's gradient and on the decoder's."""
    return estimate._replace(loss=factor * estimate.loss)


class _Subtle(Right):
    latents = (Gaussian, Bernoulli, Categorical, VQ)

    def factor(self, q: Latent, x: Tensor) -> float | Tensor:
        return 1.0

    def forward(self, q: Latent, cost: Cost, x: Tensor) -> Estimate:
        return shrunk(super().forward(q, cost, x), self.factor(q, x), q)


class ShortInBatches(_Subtle):
    """10 % short wherever there is more than one example."""

    def factor(self, q: Latent, x: Tensor) -> float:
        return 0.9 if q.batch_shape[-1] > 1 else 1.0


class ShortInReplicasOfReplicas(_Subtle):
    """10 % short where there are seeds and replicas."""

    def factor(self, q: Latent, x: Tensor) -> float:
        return 0.9 if len(q.batch_shape) > 2 else 1.0


class HalfInSinglePrecision(_Subtle):
    """Half as large in float32."""

    def factor(self, q: Latent, x: Tensor) -> float:
        return 0.5 if q.params.dtype == torch.float32 else 1.0


class ShortAtMultiplesOfThree(_Subtle):
    """10 % off where k is a multiple of 3."""

    def factor(self, q: Latent, x: Tensor) -> float:
        return 1.0 if self.k % 3 else 0.9


class ShortAtEvenCategories(_Subtle):
    """Wrong where the number of categories is even."""

    latents = (Categorical, VQ)

    def factor(self, q: Latent, x: Tensor) -> float:
        assert isinstance(q, Categorical | VQ)
        return 0.9 if q.logits.shape[-1] % 2 == 0 else 1.0


class HalfAtBinaryData(_Subtle):
    """Half as large where x is binary."""

    def factor(self, q: Latent, x: Tensor) -> Tensor:
        return 1 - 0.5 * ((x == 0) | (x == 1)).all(-1).to(x.dtype)


class ShortAtLargeCosts(Right):
    """It clips costs at 30 nats."""

    def finish(self, c: Tensor, log_q: Tensor) -> Estimate:
        return Estimate((c.detach().clamp(-30, 30) * log_q + c).mean(0), c.mean(0))


class HalfAfterTenUpdates(_Subtle):
    """Half as large after ten updates, counted in a buffer as it should be."""

    def __init__(self, k: int = 2):
        super().__init__(k)
        self.register_buffer("steps", torch.tensor(0))

    def factor(self, q: Latent, x: Tensor) -> Tensor:
        return torch.where(self.steps >= 10, 0.5, 1.0)

    def update(self, estimate: Estimate) -> None:
        self.steps += 1


class CountsInModule(_Subtle):
    """A call counter in a global of its module."""

    def factor(self, q: Latent, x: Tensor) -> float:
        global CALLS
        CALLS += 1
        return 1.0


class CountsUpdatesInModule(_Subtle):
    """update counts in a list of its module."""

    def update(self, estimate: Estimate) -> None:
        STEPS.append(1)


class CountsInClass(_Subtle):
    """A call counter on the class."""

    calls = 0

    def factor(self, q: Latent, x: Tensor) -> float:
        CountsInClass.calls += 1
        return 1.0


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


class DecoderShort(Right):
    """The decoder's gradient is 2 % short."""

    latents = (Gaussian, Bernoulli, Categorical, VQ)

    def finish(self, c: Tensor, log_q: Tensor) -> Estimate:
        return Estimate((c.detach() * log_q + 0.98 * c).mean(0), c.mean(0))


class EncoderShort(Estimator):
    """DisARM 1 % short: noise that cannot be enumerated."""

    latents = (Bernoulli,)
    unbiased = True
    evaluations = "2 / 0"
    paper = "none"
    factor = 0.99

    def forward(self, q: Latent, cost: Cost, x: Tensor) -> Estimate:
        assert isinstance(q, Bernoulli)
        u, threshold = q.uniform(1), torch.sigmoid(-q.logits.detach())
        b, antithetic = (u > threshold).to(u.dtype), (1 - u > threshold).to(u.dtype)
        c = cost(torch.cat([b, antithetic]))
        gradient = 0.5 * ((c[:1] - c[1:]).detach().unsqueeze(-1) * (b - antithetic)).squeeze(0)
        gradient = self.factor * gradient * torch.sigmoid(q.logits.detach().abs())
        return Estimate(as_loss(q, gradient) + c.mean(0), c.mean(0))


class EncoderRight(EncoderShort):
    """Right: DisARM."""

    factor = 1.0


class NeighboursNoise(Right):
    """Each example is scored with its own sample, drawn by its neighbour's noise too: the examples are correlated."""

    def forward(self, q: Latent, cost: Cost, x: Tensor) -> Estimate:
        assert isinstance(q, Bernoulli)
        u = q.uniform(self.k)
        u = u[..., :1, :].expand_as(u)
        z = (u > torch.sigmoid(-q.logits.detach())).to(u.dtype)
        return self.finish(cost(z), q.log_prob(z))


class _Baseline(Right):
    def __init__(self, k: int = 2):
        super().__init__(k)
        self.level = nn.Parameter(torch.tensor(0.5))

    def told(self, signal: Tensor) -> Tensor:
        return signal**2

    def finish(self, c: Tensor, log_q: Tensor) -> Estimate:
        signal = c.detach() - self.level
        return Estimate((signal.detach() * log_q + c).mean(0), c.mean(0), self.told(signal).mean(0))


class Regresses(_Baseline):
    """Right: a baseline that learns by its squared error."""


class ClimbsItsError(_Baseline):
    """tuning has the wrong sign."""

    def told(self, signal: Tensor) -> Tensor:
        return -(signal**2)


class LearnsElse(_Baseline):
    """tuning predicts twice the cost."""

    def told(self, signal: Tensor) -> Tensor:
        return (2 * signal + self.level) ** 2


class TuningOtherSlope(_Baseline):
    """The gradient of tuning is half of its slope."""

    def told(self, signal: Tensor) -> Tensor:
        return (signal**2 + (signal**2).detach()) / 2


class NoDetachInUpdate(Right):
    """update keeps the graph of the estimate in its buffer."""

    def __init__(self, k: int = 2):
        super().__init__(k)
        self.register_buffer("level", torch.zeros(()))

    def update(self, estimate: Estimate) -> None:
        self.level = 0.9 * self.level + 0.1 * estimate.cost.mean()
