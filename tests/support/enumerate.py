"""Exact means and variances of estimators: their noise enumerated (discrete families) or integrated (Gaussian).

Every joint outcome of all the draws of all examples becomes one replica, with its probability as weight. So one call of
an estimator gives its whole distribution, whatever it does with the draws.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from estimators import Enumerable, Estimator, Gaussian, Latent


class ExactMoments(NamedTuple):
    """Of the estimate of the gradient, per coordinate."""

    mean: Tensor  # [B, *] with respect to q.params
    variance: Tensor  # [B, *]
    decoder: Tensor  # mean gradient with respect to the cost's parameter, summed over examples
    cost: Tensor  # [B] mean


def joint(values: int, slots: int) -> Tensor:
    """All assignments of `values` values to `slots` slots `[values ** slots, slots]`."""
    return torch.cartesian_prod(*[torch.arange(values)] * slots).view(-1, slots)


def outcomes(q: Latent, draws: int, nodes: int = 20) -> tuple[Tensor, Tensor]:
    """All joint outcomes of `draws` draws of the noise: noise `[draws, J, B, *]` and probabilities `[J]`.

    The noise is that of `q.sample` for a discrete family, of `q.normal` for a Gaussian (Gauss-Hermite nodes).
    """
    (examples,) = q.batch_shape
    if isinstance(q, Enumerable):
        states = q.enumerate()  # [S, 1, *]
        index = joint(q.states, draws * examples).view(-1, draws, examples)
        noise = states.squeeze(1)[index].movedim(1, 0)
        return noise, q.log_prob(noise).detach().sum((0, -1)).exp()
    assert isinstance(q, Gaussian)
    node, weight = (torch.from_numpy(a) for a in np.polynomial.hermite_e.hermegauss(nodes))
    index = joint(nodes, draws * q.mean.numel())
    noise = node[index].view(-1, draws, *q.mean.shape).movedim(1, 0)
    return noise, (weight / weight.sum())[index].prod(-1)


def replay(q: Latent, noise: Tensor) -> Latent:
    """`q [B]` as replicas `[J, B]` with their own parameters, whose successive draws are `noise [draws, J, B, *]`."""
    draws = iter(noise)

    def take(self: Latent, k: int) -> Tensor:
        return torch.stack([next(draws) for _ in range(k)])

    source = "sample" if isinstance(q, Enumerable) else "normal"
    fixed = type("Fixed", (type(q),), {source: take})
    params = q.params.detach().expand(noise.shape[1], *q.params.shape).clone().requires_grad_()
    replicas = fixed.__new__(fixed)
    replicas.__dict__.update(q.__dict__)
    return replicas.with_params(params)


def exact_moments(
    estimator: Estimator, q: Latent, cost: nn.Module, x: Tensor, draws: int, nodes: int = 20
) -> ExactMoments:
    """Mean and variance of an estimator that takes `draws` draws, for a cost with one parameter."""
    noise, weights = outcomes(q, draws, nodes)
    replicas = replay(q, noise)
    estimate = estimator(replicas, cost, x)
    (gradient,) = torch.autograd.grad(estimate.loss.sum(), replicas.params, retain_graph=True)  # [J, B, *]
    (decoder,) = torch.autograd.grad((weights @ estimate.loss).sum(), list(cost.parameters()))
    mean = torch.einsum("j,j...->...", weights, gradient)
    variance = torch.einsum("j,j...->...", weights, (gradient - mean) ** 2)
    return ExactMoments(mean, variance, decoder, weights @ estimate.cost.detach())


def true_gradient(q: Latent, cost: Callable[..., Tensor], nodes: int = 60) -> ExactMoments:
    """The gradient of E cost(z, q), with variance 0."""
    live = q.with_params(q.params.detach().clone().requires_grad_())
    noise, weights = outcomes(q.with_params(q.params[:1]), 1, nodes)
    if isinstance(live, Enumerable):
        points = noise[0]  # [S, 1, *]: every example meets every state
        weights = live.log_prob(points).exp()  # [S, B]
    else:
        points, weights = live.mean + live.std * noise[0], weights[:, None]
    expectation = (weights * cost(points, live)).sum(0)  # [B]
    gradient, decoder = torch.autograd.grad(expectation.sum(), [live.params, *cost.parameters()])
    return ExactMoments(gradient, torch.zeros_like(gradient), decoder, expectation.detach())


def assert_exactly_unbiased(
    estimator: Estimator, q: Latent, cost: nn.Module, x: Tensor, draws: int, nodes: int = 20, tolerance: float = 1e-8
) -> ExactMoments:
    """The mean gradients of q and of the decoder, and the mean cost, are exact. Returns the moments."""
    moments, truth = exact_moments(estimator, q, cost, x, draws, nodes), true_gradient(q, cost)
    for field in ("mean", "decoder", "cost"):
        got, expected = getattr(moments, field), getattr(truth, field)
        torch.testing.assert_close(got, expected, rtol=0, atol=tolerance, msg=lambda m, f=field: f"{f}: {m}")
    return moments


def assert_pure(estimator: Estimator, q: Latent, cost: nn.Module, x: Tensor) -> None:
    """`forward` leaves every buffer and parameter as it was."""
    before = {name: value.clone() for name, value in estimator.state_dict().items()}
    estimator(q, cost, x)
    for name, value in estimator.state_dict().items():
        assert torch.equal(value, before[name]), f"forward moved {name}"


def z_scores(estimator: Estimator, q: Latent, cost: nn.Module, x: Tensor, draws: int = 200_000) -> Tensor:
    """How many standard errors the mean of `draws` sampled gradients is from the truth `[B, *]`."""
    replicas = q.with_params(q.params.detach().expand(draws, *q.params.shape).clone().requires_grad_())
    (gradient,) = torch.autograd.grad(estimator(replicas, cost, x).loss.sum(), replicas.params)
    return (gradient.mean(0) - true_gradient(q, cost).mean) / (gradient.std(0) / draws**0.5)
