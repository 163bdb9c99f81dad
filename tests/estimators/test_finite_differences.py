"""SPSA and evolution strategies: exact means over directions and noise, and their bias of second order in the step."""

import itertools
import math

import numpy as np
import pytest
import torch
from scipy import stats

from estimators import VQ, Categorical, Gaussian, finite_differences
from estimators.finite_differences import SPSA, Evolution, normals
from tests.support.costs import Nonlinear, Quadratic, small_latents, three_bits
from tests.support.enumerate import assert_pure, exact_moments, true_gradient
from tests.support.injection import X

X1 = X[:1]
NODE, WEIGHT = np.polynomial.hermite_e.hermegauss(5)
DIRECTIONS = {  # values and probabilities of one coordinate of the direction
    SPSA: (torch.tensor([-1.0, 1.0], dtype=torch.float64), torch.tensor([0.5, 0.5], dtype=torch.float64)),
    Evolution: (torch.from_numpy(NODE), torch.from_numpy(WEIGHT / WEIGHT.sum())),
}


def expected_cost(q, natural, cost):
    """E cost `[J]` of discrete q `[1]` at each of the parameters `natural [J, 1, *]`."""
    moved = (q.with_logits if hasattr(q, "with_logits") else q.with_params)(natural)
    states = q.enumerate().unsqueeze(1)  # [S, 1, 1, *]
    return (moved.log_prob(states).exp() * cost(states)).sum(0)[..., 0].detach()


def differences(estimator, q, cost):
    """The mean of exact central differences of E cost over the directions: what the estimator's mean must be."""
    value, probability = DIRECTIONS[type(estimator)]
    index = torch.cartesian_prod(*[torch.arange(len(value))] * q.logits.numel())  # [J, D C]
    direction, weights = value[index].view(-1, *q.logits.shape), probability[index].prod(1)
    ends = [expected_cost(q, q.logits + s * estimator.step * direction, cost) for s in (1, -1)]
    slope = weights * (ends[0] - ends[1]) / (2 * estimator.step)
    return torch.einsum("j,j...->...", slope, direction)


def exact_mean(estimator, q, cost):
    """Mean gradient over bits' directions, and over the cells of the noise in which neither sample moves."""
    value, probability = DIRECTIONS[type(estimator)]
    size = q.logits.numel()
    index = torch.tensor(list(itertools.product(range(len(value)), repeat=size)))
    cells = torch.tensor(list(itertools.product(range(3), repeat=size)))
    direction, weights = value[index], probability[index].prod(1)  # [J, D]
    ends = [torch.sigmoid(-(q.logits + s * estimator.step * direction)) for s in (1, -1)]  # a bit is 1 where u > that
    edges = torch.stack([ends[0] * 0, torch.minimum(*ends), torch.maximum(*ends), ends[0] * 0 + 1])  # [4, J, D]
    each = torch.arange(size)
    middle = ((edges[1:] + edges[:-1]) / 2).movedim(1, 0)[:, cells, each]  # [J, cells, D]
    weights = (weights[:, None] * edges.diff(dim=0).movedim(1, 0)[:, cells, each].prod(-1)).flatten()
    towards = torch.from_numpy(stats.norm.cdf(direction.numpy())).unsqueeze(1).expand_as(middle)
    assert weights.sum().item() == pytest.approx(1, abs=1e-12)
    replicas = q.with_params(q.params.expand(len(weights), *q.params.shape).clone().requires_grad_())
    turns = iter([towards.reshape(1, -1, 1, size), middle.reshape(1, -1, 1, size)])
    replicas.uniform = lambda k: next(turns)
    loss = estimator(replicas, cost, X1).loss
    return torch.einsum("j,j...->...", weights, torch.autograd.grad(loss.sum(), replicas.params)[0])


@pytest.mark.parametrize("estimator", [SPSA(step=0.3), Evolution(step=0.3)])
def test_exact_mean_of_bits(estimator, monkeypatch):
    q, cost = three_bits(), Nonlinear()
    torch.testing.assert_close(exact_mean(estimator, q, cost), differences(estimator, q, cost), rtol=0, atol=1e-10)
    monkeypatch.setattr(finite_differences, "central_difference", doubled)
    with pytest.raises(AssertionError, match="not close"):
        torch.testing.assert_close(exact_mean(estimator, q, cost), differences(estimator, q, cost), rtol=0, atol=1e-10)


def doubled(q, cost, direction, step, correct=finite_differences.central_difference):
    """Planted error: the difference of two steps is divided by one."""
    estimate = correct(q, cost, direction, step)
    return estimate._replace(loss=2 * estimate.loss - estimate.cost)


@pytest.mark.parametrize("kind", [SPSA, Evolution])
def test_bias_falls_with_the_square_of_the_step(kind):
    q, cost = three_bits(), Nonlinear()
    truth = true_gradient(q, cost).mean
    bias = [exact_mean(kind(step=step), q, cost) - truth for step in (0.1, 0.05, 0.025)]
    for coarse, fine in itertools.pairwise(bias):
        torch.testing.assert_close(coarse / fine, torch.full_like(fine, 4.0), rtol=0.02, atol=0)
    assert bias[0].abs().max() > 1e-4
    assert not kind.unbiased


@pytest.mark.parametrize("step", [0.3, 0.1])
def test_gaussian_quadratic(step):
    q, cost, s = Gaussian(torch.tensor([[0.4, -0.3]], dtype=torch.float64)), Quadratic(1.3), math.exp(-0.3)
    for estimator, factor in (
        (SPSA(step=step), math.sinh(2 * step) / (2 * step)),
        (Evolution(step=step), math.exp(2 * step**2)),
    ):
        found = exact_moments(estimator, q, cost, X1, 3, nodes=16)
        expected = torch.tensor([[2 * (0.4 - 1.3), 2 * s**2 * factor]], dtype=torch.float64)
        torch.testing.assert_close(found.mean, expected, rtol=0, atol=1e-9)
    with pytest.raises(AssertionError, match="not close"):  # the bias is there
        torch.testing.assert_close(found.mean, true_gradient(q, cost).mean, rtol=0, atol=1e-3)


# A deviation of 0.1 in any coordinate would show as |z| > 4.5 over 200,000 draws.
def test_mean_of_categories():
    q, cost = small_latents()["categorical"]
    q = Categorical(q.params[:1])
    replicas = q.with_params(q.params.expand(200_000, *q.params.shape).clone().requires_grad_())
    estimator = SPSA(step=0.5)
    gradients = torch.autograd.grad(estimator(replicas, cost, X1).loss.sum(), replicas.params)[0]
    error = gradients.std(0) / len(gradients) ** 0.5
    assert 4.5 * error.max() < 0.1
    assert ((gradients.mean(0) - differences(estimator, q, cost)) / error).abs().max() < 4.5
    assert ((gradients.mean(0) / 2 - differences(estimator, q, cost)) / error).abs().max() > 4.5


@pytest.mark.parametrize("family", ["gaussian", "bernoulli", "categorical", "vq"])
def test_forward(family):
    q, cost = small_latents()[family]
    q = q.with_params(q.params.expand(7, *q.params.shape).clone().requires_grad_())
    for estimator in (SPSA(k=3), Evolution(k=3)):
        assert_pure(estimator, q, cost, X)
        seen = []
        estimate = estimator(q, lambda z, q=None, seen=seen: seen.append(z) or cost(z), X)
        assert [len(z) for z in seen] == [6]
        assert estimate.loss.shape == estimate.cost.shape == (7, 2)
        encoder, decoder = torch.autograd.grad(estimate.loss.sum(), [q.params, cost.weights])
        assert encoder.isfinite().all()
        (expected,) = torch.autograd.grad(cost(seen[0]).mean(0).sum(), cost.weights)
        torch.testing.assert_close(decoder, expected, rtol=1e-12, atol=0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("family", ["gaussian", "bernoulli", "categorical", "vq"])
def test_directions_are_standard_normal(family, dtype):
    q, _ = small_latents()[family]
    params = q.params.to(dtype)
    q = VQ(params, q.codebook.to(dtype), q.temperature) if family == "vq" else q.with_params(params)
    directions = normals(q, 20_000)
    assert directions.shape[1:] == q.natural.shape
    assert directions.isfinite().all()
    assert stats.kstest(directions.flatten().double().numpy(), "norm").pvalue > 1e-3
    pairs = np.corrcoef(directions.flatten(1).double().numpy().T) - np.eye(q.natural.numel())
    assert abs(pairs).max() < 4.5 / math.sqrt(20_000)  # independent of one another


def test_refusals():
    for build, sentence in (
        (lambda: SPSA(k=0), "SPSA needs k >= 1 directions and a step above 0; got k=0"),
        (lambda: SPSA(step=0.0), "got k=1, step=0.0"),
        (lambda: Evolution(step=-1.0), "Evolution needs k >= 1 directions and a step above 0; got k=1, step=-1.0"),
    ):
        with pytest.raises(ValueError, match=sentence):
            build()
