"""Estimators that are wrong by little, or whose state moves where it should not."""

import torch
from torch import Tensor, nn

from estimators import VQ, Bernoulli, Categorical, Cost, Estimate, Estimator, Gaussian, Latent, as_loss
from tests.support.planted_settings import Subtle
from tests.support.right import Right

CALLS = 0
STEPS: list[int] = []


class CountsInModule(Subtle):
    """A call counter in a global of its module."""

    def factor(self, q: Latent, x: Tensor) -> float:
        global CALLS
        CALLS += 1
        return 1.0


class CountsUpdatesInModule(Subtle):
    """update counts in a list of its module."""

    def update(self, estimate: Estimate) -> None:
        STEPS.append(1)


class CountsInClass(Subtle):
    """A call counter on the class."""

    calls = 0

    def factor(self, q: Latent, x: Tensor) -> float:
        CountsInClass.calls += 1
        return 1.0


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
