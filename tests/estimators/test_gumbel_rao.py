"""Gumbel-Rao against straight-through Gumbel-softmax: the same mean, less variance."""

import math

import numpy as np
import pytest
import torch
from scipy.integrate import quad

from estimators import Bernoulli
from estimators.gumbel_rao import GumbelRao
from estimators.st_gumbel_softmax import STGumbelSoftmax
from tests.support.discrete import assert_mean, cost_of, make, one_bit, one_bit_slope
from tests.support.injection import gradient, injected, replicated


class Moved(GumbelRao):
    """Planted error: the noise given the sample moves with the logits, as it must in REBAR and must not here."""

    def forward(self, q, cost, x):
        z = q.sample(self.k)
        soft = q.soften(q.conditional(z), self.temperature)
        c = cost(z + (soft - soft.detach())).mean(0)
        return super().forward(q, cost, x)._replace(loss=c)


def over_conditional_noise(bit, nodes=80):
    """One bit replicated over its two states and Gauss-Legendre nodes of one conditional draw, and the weights."""
    x, w = (torch.from_numpy(a) / 2 for a in np.polynomial.legendre.leggauss(nodes))
    b, v = torch.tensor([0.0, 1.0], dtype=torch.float64).repeat_interleave(nodes), (x + 0.5).repeat(2)
    q = replicated(bit, 2 * nodes)
    p = bit.probs.item()
    weights = torch.cat([(1 - p) * w, p * w])
    return injected(q, sample=[b.view(1, -1, 1, 1)], uniform=[v.view(1, -1, 1, 1)]), weights


@pytest.mark.parametrize(("logit", "temperature"), [(0.4, 0.5), (-1.3, 1.0)])
def test_gumbel_rao_has_the_mean_of_st_gumbel_on_one_bit(logit, temperature):
    bit = Bernoulli(torch.tensor([[logit]], dtype=torch.float64, requires_grad=True))

    def integrand(u):
        soft = 1 / (1 + math.exp(-(logit + math.log(u / (1 - u))) / temperature))
        return one_bit_slope(round(soft)) * soft * (1 - soft) / temperature

    edge = 1 - bit.probs.item()
    mean = sum(quad(integrand, *ends, epsabs=1e-12)[0] for ends in ((0, edge), (edge, 1)))
    expected = torch.full((1, 1), mean, dtype=torch.float64)
    q, weights = over_conditional_noise(bit)
    assert_mean(gradient(GumbelRao(temperature=temperature, draws=1), q, one_bit), weights, expected, 1e-8)
    with pytest.raises(AssertionError):
        assert_mean(gradient(Moved(temperature=temperature, draws=1), q, one_bit), weights, expected, 1e-2)


@pytest.mark.parametrize("draws", [2, 5])
@pytest.mark.parametrize("family", ["bernoulli", "categorical"])
def test_gumbel_rao_has_the_mean_of_st_gumbel_and_less_variance(family, draws):
    """z-tests over 200,000 draws of each. The order of the variances is the Rao-Blackwell theorem."""
    bare = make(family, (1,))
    q, cost = replicated(bare, 200_000), cost_of(bare)
    st, rao, moved = (
        gradient(e, q, cost)
        for e in (STGumbelSoftmax(temperature=0.7), GumbelRao(temperature=0.7, draws=draws), Moved(temperature=0.7))
    )

    def z(difference):
        return difference.mean(0) / (difference.std(0) / len(difference) ** 0.5)

    assert z(st - rao).abs().max() < 4.5
    assert z(st - moved).abs().max() > 6
    centre = (st.mean(0) + rao.mean(0)) / 2
    spread = [(g - centre).flatten(1).square().sum(1) for g in (st, rao)]
    assert z(spread[0] - spread[1]) > 4.5


@pytest.mark.parametrize("family", ["bernoulli", "categorical", "vq"])
def test_conditional_draws_are_averaged(family):
    bare = make(family, (4,))
    z = bare.sample(3)  # [K, B, *]
    name = "uniform" if family == "bernoulli" else "gumbel"
    noise = torch.rand(2, 3, *bare.logits.shape, dtype=torch.float64)  # [M, K, B, *]
    noise = noise if family == "bernoulli" else -(-noise.log()).log()
    both = gradient(GumbelRao(k=3, draws=2), injected(bare, sample=[z], **{name: [noise.flatten(0, 1)]}), cost_of(bare))
    singles = [
        gradient(GumbelRao(k=3, draws=1), injected(bare, sample=[z], **{name: [n]}), cost_of(bare)) for n in noise
    ]
    torch.testing.assert_close(both, (singles[0] + singles[1]) / 2, rtol=0, atol=1e-12)
