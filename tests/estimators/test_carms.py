"""CARMS: exact means over every set of samples that stop together, and the estimators it contains."""

import itertools
import math

import pytest
import torch
from torch import nn

from estimators import Bernoulli, Categorical
from estimators.arms import Arms, dirichlet_copula
from estimators.carms import Carms, apart, pair_weights
from estimators.disarm_iw import coupling_weights
from estimators.rloo import RLOO
from tests.support.costs import Nonlinear, small_latents
from tests.support.enumerate import assert_pure, z_scores
from tests.support.injection import X, assert_exact, gradient, injected, live, replicated


def over_sticks(q, k):
    """q of one example over all sets of its k samples that stop at each category, and their probabilities.

    A set of s shares of a uniform point on the simplex exceeds t with probability max(1 - s t, 0)^(k-1); that it is
    this set and no more follows by inclusion and exclusion. One point stands for each set.
    """
    probs = q.probs.detach()[0].sort(-1).values  # [D, C]
    stop = (probs / probs.flip(-1).cumsum(-1).flip(-1))[:, :-1].flatten()  # [N]
    threshold = 1 - stop ** (1 / (k - 1))
    sets = torch.tensor(list(itertools.product([0.0, 1.0], repeat=k)), dtype=torch.float64)  # [2^k, K]
    shares = torch.where(sets.sum(1, keepdim=True) > 0, sets.clamp(min=1e-9), torch.ones_like(sets))

    def probability(size, t):
        signs = ((-1) ** j * math.comb(k - size, j) for j in range(k - size + 1))
        return sum(sign * max(1 - (size + j) * t, 0) ** (k - 1) for j, sign in enumerate(signs))

    table = torch.tensor([[probability(int(s), t.item()) for t in threshold] for s in sets.sum(1)], dtype=X.dtype)
    cells = torch.tensor(list(itertools.product(range(2**k), repeat=len(stop))))  # [R, N]
    weights = table[cells, range(len(stop))].prod(1)
    cells, weights = cells[weights > 1e-17], weights[weights > 1e-17]
    nodes = shares[cells].unflatten(1, (len(probs), -1)).movedim(-1, 0)  # [K, R, D, C - 1]
    exponential = torch.nn.functional.pad(nodes, (0, 1), value=1.0).unsqueeze(2)
    return injected(replicated(q, len(cells)), gumbel=[-exponential.log()]), weights


def categorical(seed, size, categories, spread=1.0):
    generator = torch.Generator().manual_seed(seed)
    return Categorical(spread * torch.randn(1, size, categories, generator=generator, dtype=torch.float64))


CASES = [(0, 2, 2, 2), (1, 2, 3, 2), (2, 2, 3, 3), (3, 1, 4, 3), (4, 1, 3, 5), (5, 1, 5, 2), (6, 2, 2, 4)]


class OfNumbers(nn.Module):
    """A cost of the categories' numbers in which all coordinates interact."""

    def __init__(self):
        super().__init__()
        self.weights = nn.Parameter(torch.tensor([0.8, -0.5], dtype=torch.float64))

    def forward(self, z, q=None):
        y = z @ torch.arange(z.shape[-1], dtype=z.dtype)  # [..., D]
        return (self.weights[0] * y.sum(-1) - 0.4) ** 2 + self.weights[1] * (0.3 * y[..., 0]).exp() + y.prod(-1) / 2


@pytest.mark.parametrize("spread", [0.3, 2.5])
@pytest.mark.parametrize(("seed", "size", "categories", "k"), CASES)
def test_exactly_unbiased(seed, size, categories, k, spread):
    q, cost = categorical(seed, size, categories, spread), OfNumbers()
    assert_exact(Carms(k), *over_sticks(q, k), cost)
    with pytest.raises(AssertionError, match="q:"):
        assert_exact(Flat(k), *over_sticks(q, k), cost)


class Flat(Carms):
    """Planted error: coupled pairs count like independent ones."""

    def _signal(self, c, first, weights):
        return super()._signal(c, first, None)


@pytest.mark.parametrize("k", [2, 3, 6])
def test_of_two_categories_it_is_arms_draw_by_draw(k):
    logits = torch.randn(50, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(k))
    bits = live(Bernoulli(logits))
    both = Categorical(torch.stack([torch.zeros_like(logits), logits], -1).requires_grad_())
    u = bits.uniform(k)
    noise = torch.stack([-(-u.log()).log(), torch.zeros_like(u)], -1)
    cost = Nonlinear()
    expected = gradient(Arms(k), injected(bits, uniform=[u]), cost)
    got = gradient(Carms(k), injected(both, gumbel=[noise]), lambda z, q=None: cost(z[..., 1]))
    torch.testing.assert_close(got, torch.stack([-expected, expected], -1), rtol=0, atol=1e-11)


def test_of_two_samples_it_has_the_weights_of_disarm_iw():
    stop = torch.rand(9, 2, 4, dtype=torch.float64) / 2
    torch.testing.assert_close(pair_weights(stop, 2), coupling_weights(stop), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("family", ["categorical", "vq"])
@pytest.mark.parametrize("k", [2, 5])
def test_with_independent_uniforms_it_is_rloo_on_the_same_samples(family, k):
    q, cost = small_latents()[family]
    seen = []

    def spied(z, q=None):
        seen.append(z)
        return cost(z)

    torch.manual_seed(3)
    q = live(q)
    got = gradient(Carms(k, "independent"), q, spied)
    expected = gradient(RLOO(k), injected(q, sample=seen), cost)
    torch.testing.assert_close(got, expected, rtol=0, atol=1e-12)
    assert (gradient(Carms(k), q, spied) - gradient(RLOO(k), injected(q, sample=seen[1:]), cost)).abs().max() > 1e-3


@pytest.mark.parametrize("k", [2, 3, 7])
def test_samples_have_the_distribution_of_q_and_are_apart(k):
    """Frequencies of every category, and of equal pairs, which are rarer than of independent samples."""
    q, draws = categorical(1, 1, 4), 60_000
    seen = []
    Carms(k)(replicated(q, draws), lambda z, q=None: seen.append(z) or z.sum((-1, -2)), X)
    z = seen[0][:, :, 0, 0]  # [K, R, C]
    error = (q.probs[0, 0] * (1 - q.probs[0, 0]) / draws) ** 0.5
    assert ((z.mean(1) - q.probs[0, 0]).abs() < 4.5 * error).all()
    equal = (z[0] * z[1]).sum(-1).mean().item()
    assert equal < q.probs.square().sum().item() - 4.5 * (0.25 / draws) ** 0.5


def test_the_copula_is_that_of_arms():
    u = torch.rand(4, 30, dtype=torch.float64).clamp(min=1e-9)
    torch.testing.assert_close(apart(-u.log()), dirichlet_copula(u), rtol=1e-9, atol=1e-12)
    one = torch.tensor([[1.0], [1e-12]])  # float32: no cancellation where one share is nearly all
    torch.testing.assert_close(apart(one), torch.tensor([[1e-12], [1.0]]), rtol=1e-5, atol=0)


# A bias of 0.01 in any coordinate would show as |z| > 4.5 over 200,000 draws.
@pytest.mark.parametrize("family", ["categorical", "vq"])
@pytest.mark.parametrize("estimator", [Carms(3), Carms(2, "independent")], ids=["dirichlet", "independent"])
def test_unbiased_with_its_own_noise(family, estimator):
    q, cost = small_latents()[family]
    assert z_scores(estimator, q, cost, X).abs().max() < 4.5
    assert_pure(estimator, q, cost, X)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("k", [2, 3, 12])
def test_equal_certain_and_impossible_categories_stay_finite(k, dtype):
    rows = [[0.0] * 4, [0, 0, 0, 200.0], [-200.0, -200, 0, 0], [-torch.inf, 0, 0, 1], [-torch.inf, -torch.inf, 0, 1]]
    q = Categorical(torch.tensor(rows, dtype=dtype).unsqueeze(1).repeat(40, 1, 1).requires_grad_())
    estimate = Carms(k)(q, lambda z, q=None: z[..., 0].sum(-1) - 3 * z[..., 3].sum(-1) ** 2, X)
    assert estimate.loss.isfinite().all()
    slope = torch.autograd.grad(estimate.loss.sum(), q.params)[0]
    assert slope.isfinite().all()
    assert not slope[q.params.isinf()].any()


@pytest.mark.parametrize(
    ("arguments", "sentence"), [({"k": 1}, "k >= 2; got k=1"), ({"copula": "gaussian"}, "dirichlet, independent; got")]
)
def test_refused_arguments(arguments, sentence):
    with pytest.raises(ValueError, match=sentence):
        Carms(**arguments)
