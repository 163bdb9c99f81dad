"""Noise handed in: exact means over all of it, and the properties that hold draw by draw."""

import itertools

import torch
from torch import Tensor, nn

from estimators import VQ, Bernoulli, Estimator, Gaussian, Latent
from tests.support.enumerate import true_gradient

X = torch.tensor([[0.2, 0.9, -0.4], [1.0, -0.3, 0.5]], dtype=torch.float64)  # the data of two examples


def injected(q, **noise):
    """The same q, whose methods named in `noise` hand out the given tensors `[K, ..., B, *]` in turn."""

    def method(values):
        turns = itertools.cycle(values)

        def draw(self, k):
            value = next(turns)
            assert value.shape[0] == k
            return value

        return draw

    kind = type("Injected", (type(q),), {name: method(values) for name, values in noise.items()})
    return kind(q.params, q.codebook, q.temperature) if isinstance(q, VQ) else kind(q.params)


def replicated(q, replicas):
    """q at a leaf `[R, ..., B, *]` of R copies of its parameters."""
    return q.with_params(q.params.detach().expand(replicas, *q.params.shape).clone().requires_grad_())


def noisy(q: Latent, rows: int, draws: int = 3) -> tuple[str, Tensor]:
    """The name of q's noise, and that noise `[draws, rows, ..., B, *]`."""
    name = "normal" if isinstance(q, Gaussian) else "uniform" if isinstance(q, Bernoulli) else "gumbel"
    return name, torch.stack([getattr(q, name)(rows) for _ in range(draws)])


def gradient(estimator: Estimator, q: Latent, cost: nn.Module, x: Tensor | None = None) -> Tensor:
    """Of one call, with respect to q.params."""
    return torch.autograd.grad(estimator(q, cost, x).loss.sum(), q.params)[0]


def leaf_gradient(estimator: Estimator, q: Latent, cost: nn.Module, x: Tensor | None = None) -> Tensor:
    """Of one call, with respect to a copy of q.params, which may need no gradient themselves."""
    return gradient(estimator, q.with_params(q.params.detach().clone().requires_grad_()), cost, x)


def drawn(estimator: Estimator, q: Latent, cost: nn.Module, seed: int = 3) -> Tensor:
    """The gradient of one call, with the noise that this seed gives every estimator."""
    torch.manual_seed(seed)
    return gradient(estimator, q, cost, X[: q.batch_shape[-1]])


def live(q: Latent) -> Latent:
    """The same q at a leaf."""
    return q.with_params(q.params.detach().clone().requires_grad_())


def ready(estimator: Estimator, units: int, size: float = 2.0) -> Estimator:
    """In float64, its surrogate made for points of `units` units, with values of the order `size`, which may be 0."""
    estimator = estimator.double()
    estimator.network.take_sizes(torch.zeros(1, units, dtype=X.dtype), X)
    with torch.no_grad():
        for parameter in estimator.network.out.parameters():
            parameter.normal_().mul_(size)
    return estimator


def assert_exact(
    estimator: Estimator, q: Latent, weights: Tensor, cost: nn.Module, x: Tensor | None = None, tolerance: float = 1e-10
) -> Tensor:
    """Mean gradients of q `[R, B, *]` and of the decoder, and the mean cost, are exact. Returns q's variance `[B, *]`.

    `weights` `[R]` are the probabilities of the replicas' noise.
    """
    torch.testing.assert_close(weights.sum().item(), 1.0, rtol=0, atol=1e-12)
    estimate, truth = estimator(q, cost, x), true_gradient(q.with_params(q.params[0].detach()), cost)
    (each,) = torch.autograd.grad(estimate.loss.sum(), q.params, retain_graph=True)
    (decoder,) = torch.autograd.grad((weights @ estimate.loss).sum(), list(cost.parameters()))
    mean = torch.einsum("r,r...->...", weights, each)
    for name, got, expected in [
        ("q", mean, truth.mean),
        ("decoder", decoder, truth.decoder),
        ("cost", weights @ estimate.cost.detach(), truth.cost),
    ]:
        torch.testing.assert_close(got, expected, rtol=0, atol=tolerance, msg=lambda m, n=name: f"{n}: {m}")
    return torch.einsum("r,r...->...", weights, (each - mean) ** 2)


def assert_unbiased(
    estimator: Estimator, q: Latent, cost: nn.Module, detectable: float, x: Tensor | None = None
) -> None:
    """|z| < 4.5 in every coordinate over 200,000 draws, which would have shown every bias above `detectable`."""
    each = gradient(estimator, replicated(q, 200_000), cost, x)
    error = each.std(0) / len(each) ** 0.5
    assert 4.5 * error.max().item() < detectable
    assert ((each.mean(0) - true_gradient(q, cost).mean) / error).abs().max().item() < 4.5


def assert_replicas_equal_a_loop_and_vmap(estimator: Estimator, q: Latent, rows: int, cost: nn.Module) -> None:
    """Replicas `[R, B]` of q `[B]` with their own noise, in one call, one by one, and mapped."""
    replicas = replicated(q, 3)
    name, noise = noisy(replicas, rows)

    def single(params: Tensor, *draws: Tensor) -> Tensor:
        def loss(params: Tensor) -> Tensor:
            return estimator(injected(q.with_params(params), **{name: draws}), cost, X).loss.sum()

        return torch.func.grad(loss)(params)

    together, params = gradient(estimator, injected(replicas, **{name: list(noise)}), cost, X), replicas.params.detach()
    loop = torch.stack([single(params[r], *noise[:, :, r]) for r in range(3)])
    torch.testing.assert_close(together, loop, rtol=0, atol=1e-11)
    mapped = torch.func.vmap(single, in_dims=(0, 1, 1, 1))(params, *noise)
    torch.testing.assert_close(mapped, loop, rtol=0, atol=1e-11)


def assert_tuning(estimator: Estimator, q: Latent, cost: nn.Module) -> None:
    """`tuning` is the squared norm of the gradient, and its slopes are right; `loss` moves no parameter but q's."""
    q = live(q)

    def call():
        torch.manual_seed(3)
        return estimator(q, cost, X)

    own, estimate = [p for p in estimator.parameters() if p.requires_grad], call()
    encoder, *others = torch.autograd.grad(estimate.loss.sum(), [q.params, *own], allow_unused=True, retain_graph=True)
    assert all(slope is None for slope in others)
    torch.testing.assert_close(estimate.tuning, encoder.square().flatten(1).sum(1), rtol=1e-12, atol=0)
    *slopes, reaches_q = torch.autograd.grad(estimate.tuning.sum(), [*own, q.params], allow_unused=True)
    assert reaches_q is None
    for parameter, slope in zip(own, slopes, strict=True):
        direction, values = torch.randn_like(parameter), []
        for step in (1e-5, -2e-5):
            with torch.no_grad():
                parameter += step * direction
            values.append(call().tuning.sum().item())
        with torch.no_grad():
            parameter += 1e-5 * direction
        found, expected = (slope * direction).sum().item(), (values[0] - values[1]) / 2e-5
        assert found != 0
        assert abs(found - expected) < 1e-5 * abs(expected) + 1e-6
