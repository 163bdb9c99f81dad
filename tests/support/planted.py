"""Estimators that are wrong on purpose. The assertions that accept the right ones must reject every one of these."""

import torch
from torch import Tensor

from estimators import VQ, Bernoulli, Categorical, Cost, Estimate, Estimator, Gaussian, Latent


class Planted(Estimator):
    """The mean-of-samples score function that each of the planted errors departs from."""

    latents = (Gaussian, Bernoulli, Categorical, VQ)
    unbiased = True
    evaluations = "k / 0"

    def __init__(self, k: int = 2):
        super().__init__()
        self.k = k

    def forward(self, q: Latent, cost: Cost, x: Tensor) -> Estimate:
        z = q.sample(self.k)
        c = cost(z)
        return Estimate(loss=self.loss(c, q.log_prob(z)), cost=c.mean(0))

    def loss(self, c: Tensor, log_q: Tensor) -> Tensor:
        """`c`, `log_q` `[K, ..., B]` -> `[..., B]`."""
        return (c.detach() * log_q + c).mean(0)


class SelfBaseline(Planted):
    """The sample's own cost is part of its baseline: the mean shrinks by (K - 1) / K."""

    def loss(self, c: Tensor, log_q: Tensor) -> Tensor:
        return ((c - c.mean(0)).detach() * log_q + c).mean(0)


class BatchBaseline(Planted):
    """The mean cost of the batch, the own example included: examples meet, and the mean shrinks by (B - 1) / B."""

    def loss(self, c: Tensor, log_q: Tensor) -> Tensor:
        return ((c - c.mean(-1, keepdim=True)).detach() * log_q + c).mean(0)


class StandardisedReward(Planted):
    """Costs divided by their standard deviation over the K samples: the scale of the gradient is lost."""

    def loss(self, c: Tensor, log_q: Tensor) -> Tensor:
        others = (c.sum(0) - c) / (self.k - 1)
        return (((c - others) / (c.std(0) + 1e-6)).detach() * log_q + c).mean(0)


class MissingDetach(Planted):
    """The score multiplies a cost that is still differentiated: the decoder gets log q times its gradient besides."""

    def loss(self, c: Tensor, log_q: Tensor) -> Tensor:
        return (c * log_q + c).mean(0)


class SumOverSamples(Planted):
    """A sum over K where the mean belongs."""

    def loss(self, c: Tensor, log_q: Tensor) -> Tensor:
        return (c.detach() * log_q + c).sum(0)


class StateInForward(Planted):
    """A running mean that forward moves; used before it is moved, so that one call is unbiased."""

    def __init__(self, k: int = 2):
        super().__init__(k)
        self.register_buffer("running", torch.tensor(0.0, dtype=torch.float64))

    def loss(self, c: Tensor, log_q: Tensor) -> Tensor:
        loss = ((c - self.running).detach() * log_q + c).mean(0)
        self.running = 0.9 * self.running + 0.1 * c.detach().mean()
        return loss


class FrozenStd(Estimator):
    """A pathwise gradient that holds the standard deviation."""

    latents = (Gaussian,)
    unbiased = True
    evaluations = "1 / 1"

    def forward(self, q: Gaussian, cost: Cost, x: Tensor) -> Estimate:
        c = cost(q.mean + q.std.detach() * q.normal(1), q).mean(0)
        return Estimate(loss=c, cost=c)
