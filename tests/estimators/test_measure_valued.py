"""Measure-valued derivatives of a Gaussian: exact moments by quadrature over their noise, and the noise itself."""

import math

import numpy as np
import pytest
import torch
from scipy import stats
from torch import nn

from estimators import Gaussian
from estimators.measure_valued import MeasureValued
from tests.support.costs import Nonlinear, Quadratic, SampledKL, small_latents
from tests.support.enumerate import true_gradient, z_scores
from tests.support.injection import X, leaf_gradient

X1 = X[:1]


def half_line(power, nodes):
    """Gauss rule for the density proportional to t^power exp(-t^2 / 2) on t > 0, from a fine discretisation of it."""
    t, w = np.polynomial.legendre.leggauss(400)
    t, w = 6.5 * (t + 1), w * (6.5 * (t + 1)) ** power * np.exp(-((6.5 * (t + 1)) ** 2) / 2)
    previous, current, a, b = np.zeros_like(t), np.sqrt(w / w.sum()), [], []
    for _ in range(nodes):  # Lanczos: the recurrence of the orthonormal polynomials
        a.append(current @ (t * current))
        rest = t * current - a[-1] * current - (b[-1] * previous if b else 0)
        b.append(np.linalg.norm(rest))
        previous, current = current, rest / b[-1]
    values, vectors = np.linalg.eigh(np.diag(a) + np.diag(b[:-1], 1) + np.diag(b[:-1], -1))
    return values, vectors[0] ** 2


def over_noise(q, coupled, nodes):
    """q `[1, 2D]` at every joint value of the noise of one draw: replicas `[J, 1]`, and their probabilities `[J]`."""
    (w, of_w), (m, of_m) = half_line(1, nodes), half_line(2, nodes)
    u, of_u = np.polynomial.legendre.leggauss(nodes)
    n, of_n = np.polynomial.hermite_e.hermegauss(nodes)
    signed = np.concatenate([m, -m]), np.concatenate([of_m, of_m]) / 2
    own = ((u + 1) / 2, of_u / 2) if coupled else (n, of_n / of_n.sum())
    axes = [(w, of_w), *([] if coupled else [(w, of_w)]), signed, own]
    size = q.mean.shape[-1]
    grids = [torch.cartesian_prod(*[torch.from_numpy(a[i]) for a in axes]) for i in (0, 1)]  # [cells, variables]
    index = torch.cartesian_prod(*[torch.arange(len(grids[0]))] * size).view(-1, size)
    values, weights = grids[0][index], grids[1][index].prod(-1).prod(-1)  # [J, D, variables], [J]
    up, *down, maxwell, last = values[None, :, None].unbind(-1)  # [1, J, 1, D]
    replicas = q.with_params(q.params.detach().expand(len(weights), *q.params.shape).clone().requires_grad_())
    turns = iter([up, *down])
    replicas.rayleigh = lambda k: next(turns)
    replicas.maxwell = lambda k: (maxwell, maxwell * last)
    replicas.normal = lambda k: last
    return replicas, weights


def gaussian_moments(q, cost, coupled, nodes):
    replicas, weights = over_noise(q, coupled, nodes)
    estimate = MeasureValued(coupled=coupled)(replicas, cost, X1)
    gradients = torch.autograd.grad(estimate.loss.sum(), replicas.params, retain_graph=True)[0]  # [J, 1, 2D]
    decoder = torch.autograd.grad((weights @ estimate.loss).sum(), list(cost.parameters()))
    mean = torch.einsum("j,j...->...", weights, gradients)
    return mean, torch.einsum("j,j...->...", weights, (gradients - mean) ** 2), decoder


@pytest.mark.parametrize(("mean", "std", "k"), [(1.0, 1.0, -3.0), (0.4, 0.7, 1.1)])
def test_gaussian_quadratic(mean, std, k):
    q, m = Gaussian(torch.tensor([[mean, math.log(std)]], dtype=torch.float64)), mean - k
    expected = torch.tensor([[2 * m, 2 * std**2]], dtype=torch.float64)  # d/d log std = std d/d std
    got, variance, _ = gaussian_moments(q, Quadratic(k), True, 8)
    torch.testing.assert_close(got, expected, rtol=0, atol=1e-10)
    known = [[4 * m**2 * (4 / math.pi - 1), (4 * m**2 + 4 * std**2) * std**2]]
    torch.testing.assert_close(variance, torch.tensor(known, dtype=torch.float64), rtol=1e-10, atol=0)
    got, uncoupled, _ = gaussian_moments(q, Quadratic(k), False, 8)
    torch.testing.assert_close(got, expected, rtol=0, atol=1e-10)
    # Over independent noise: Var w = 2 - pi/2, Var w^2 = 4; E m^2 = 3, Var m^2 = 6, and 1 and 2 for the normal.
    known = [[(4 * m**2 * (2 - math.pi / 2) + 4 * std**2) / math.pi, (16 * m**2 + 8 * std**2) * std**2]]
    torch.testing.assert_close(uncoupled, torch.tensor(known, dtype=torch.float64), rtol=1e-10, atol=0)


@pytest.mark.parametrize(("coupled", "nodes"), [(True, 7), (False, 5)])
def test_gaussian_mean_over_the_noise(coupled, nodes):
    q, cost = Gaussian(torch.tensor([[0.3, -0.2, -0.6, -0.4]], dtype=torch.float64)), Nonlinear((0.8, -0.5))
    truth = true_gradient(q, cost)
    got, _, decoder = gaussian_moments(q, cost, coupled, nodes)
    torch.testing.assert_close(got, truth.mean, rtol=0, atol=1e-6)
    torch.testing.assert_close(decoder[0], truth.decoder, rtol=0, atol=1e-6)


class TwoNormals(Gaussian):
    """Planted error: the length of two normals where that of three belongs."""

    def maxwell(self, k):
        normals = self.normal(2 * k).unflatten(0, (2, k))
        return normals.norm(dim=0).copysign(normals[0]), normals[0]


# A bias of 0.03 in any coordinate would show as |z| > 4.5 over 200,000 draws.
@pytest.mark.parametrize("coupled", [True, False])
def test_gaussian_is_unbiased_with_its_own_noise(coupled):
    q, cost = small_latents()["gaussian"]
    assert z_scores(MeasureValued(coupled=coupled), q, cost, X).abs().max() < 4.5
    assert z_scores(MeasureValued(coupled=coupled), TwoNormals(q.params), cost, X).abs().max() > 4.5
    replicas = q.with_params(q.params.expand(200_000, *q.params.shape))
    assert 4.5 * leaf_gradient(MeasureValued(coupled=coupled), replicas, cost, X).std(0).max() / 200_000**0.5 < 0.03


def distributions(q):
    """p-values of Kolmogorov-Smirnov tests of 100,000 draws, and of the independence of ratio and length."""
    maxwell, normal = (n.flatten().numpy() for n in q.maxwell(50_000))
    ratio = normal / maxwell
    return {
        "rayleigh": stats.kstest(q.rayleigh(50_000).flatten().numpy(), "rayleigh").pvalue,
        "maxwell": stats.kstest(abs(maxwell), "maxwell").pvalue,
        "normal": stats.kstest(normal, "norm").pvalue,
        "ratio": stats.kstest(ratio, "uniform").pvalue,
        "sign": stats.binomtest(int((maxwell > 0).sum()), len(maxwell)).pvalue,
        "independent": stats.spearmanr(ratio, maxwell).pvalue,
    }


def test_noise_of_measure_valued_derivatives():
    params = torch.zeros(1, 4, dtype=torch.float64)
    assert min(distributions(Gaussian(params)).values()) > 1e-3
    wrong = distributions(TwoNormals(params))
    assert wrong["maxwell"] < 1e-9
    assert wrong["ratio"] < 1e-9


@pytest.mark.parametrize("coupled", [True, False])
def test_no_variance_where_q_is_the_posterior(coupled):
    x, noise = torch.tensor([[1.2, -0.7]], dtype=torch.float64), 0.8  # z ~ N(0, I), x ~ N(z, noise^2)
    var = noise**2 / (1 + noise**2)
    q = Gaussian(torch.cat([x * var / noise**2, torch.full_like(x, 0.5 * math.log(var))], -1))

    class Posterior(nn.Module):
        def forward(self, z, q=None):
            return (x - z).square().sum(-1) / (2 * noise**2)

    found = leaf_gradient(MeasureValued(coupled=coupled), q, SampledKL(Posterior(), q), x)
    torch.testing.assert_close(found, torch.zeros_like(found), rtol=0, atol=1e-12)
