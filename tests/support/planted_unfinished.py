"""Estimators that are half-written: a tag, a return or a `.detach()` is missing. Nothing can be computed with them."""

from typing import Any

import torch
from torch import Tensor, nn

from estimators import Bernoulli, Cost, Estimate, Estimator, Gaussian, Latent


class Whole(Estimator):
    """The score function on two families, whole: what is missing is missing from it."""

    latents: Any = (Bernoulli, Gaussian)
    unbiased = True
    evaluations = "1 / 0"

    def forward(self, q: Latent, cost: Cost, x: Tensor) -> Any:
        z = q.sample(1)
        c = cost(z)
        return self.finish(Estimate((c.detach() * q.log_prob(z) + c).mean(0), c.mean(0)))

    def finish(self, estimate: Estimate) -> Any:
        return estimate


class OneLatent(Whole):
    """Its latents are no tuple: the comma is missing."""

    latents = Bernoulli


class NoLatents(Estimator):
    """It does not say what it can differentiate."""

    unbiased = True
    evaluations = "1 / 0"
    forward = Whole.forward


class NoUnbiased(Estimator):
    """It does not say whether it is unbiased."""

    latents = (Bernoulli, Gaussian)
    evaluations = "1 / 0"
    forward = Whole.forward


class NoEvaluations(Estimator):
    """It does not say what it costs."""

    latents = (Bernoulli, Gaussian)
    unbiased = True
    forward = Whole.forward


class NoRange(Whole):
    """Its range is no Range."""

    tunable: Any = {"k": (2, 8)}


class ReturnsTensor(Whole):
    """It returns the loss alone."""

    def finish(self, estimate: Estimate) -> Any:
        return estimate.loss


class ReturnsNone(Whole):
    """It returns nothing."""

    def finish(self, estimate: Estimate) -> Any:
        return None


class ReturnsTuple(Whole):
    """It returns the parts of an estimate."""

    def finish(self, estimate: Estimate) -> Any:
        return estimate.loss, estimate.cost


class ReturnsNoCost(Whole):
    """It leaves the cost out."""

    def finish(self, estimate: Estimate) -> Any:
        return estimate._replace(cost=None)


class ReturnsNumber(Whole):
    """Its cost is a number, not a tensor."""

    def finish(self, estimate: Estimate) -> Any:
        return estimate._replace(cost=1.0)


class AveragesExamples(Whole):
    """Its loss is a mean over the batch."""

    def finish(self, estimate: Estimate) -> Any:
        return estimate._replace(loss=estimate.loss.mean())


class KeepsSamples(Whole):
    """Its loss has an axis too many."""

    def finish(self, estimate: Estimate) -> Any:
        return estimate._replace(loss=estimate.loss[None])


class LosesGradient(Whole):
    """Its loss depends on nothing."""

    def finish(self, estimate: Estimate) -> Any:
        return estimate._replace(loss=estimate.loss.detach())


class _Running(Whole):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(()))
        self.mean: Tensor


class ForgetsDetach(_Running):
    """Its running mean is a new tensor with the graph of the cost."""

    def update(self, estimate: Estimate) -> None:
        self.mean = 0.9 * self.mean + 0.1 * estimate.cost.mean()


class ForgetsDetachInPlace(_Running):
    """Its running mean is moved in place, and takes the graph of the cost."""

    def update(self, estimate: Estimate) -> None:
        self.mean.lerp_(estimate.cost.mean(), 0.1)


class ForgetsDetachInside(Whole):
    """A module inside it remembers the last cost."""

    def __init__(self) -> None:
        super().__init__()
        self.memory = nn.Module()

    def update(self, estimate: Estimate) -> None:
        self.memory.last = estimate.cost.mean()
