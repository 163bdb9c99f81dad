"""LAX: exact means over Gauss-Hermite nodes of its noise, and what it is without its surrogate or with the best one."""

import pytest
import torch
from torch import nn

from estimators import Estimate
from estimators.lax import Lax
from estimators.reinforce import Reinforce
from estimators.reparam import Reparam
from tests.support.costs import SampledKL, small_latents
from tests.support.enumerate import assert_exactly_unbiased, assert_pure
from tests.support.injection import X, assert_replicas_equal_a_loop_and_vmap, assert_tuning, drawn, live, ready


class SurrogateNotAddedBack(Lax):
    """Planted error: the surrogate is only subtracted."""

    def forward(self, q, cost, x):
        z = q.sample(self.k)
        score = (cost(z) - self.network(z, x)).detach() * q.log_prob(z)
        return Estimate((score + cost(z)).mean(0), cost(z).mean(0))


@pytest.mark.parametrize("kl", ["analytic", "sampled"])
def test_lax_is_exactly_unbiased(kl):
    q, cost = small_latents()["gaussian"]
    q = q.with_params(q.params[:1])
    cost = SampledKL(cost, q) if kl == "sampled" else cost
    assert_exactly_unbiased(ready(Lax(hidden=5), 2, size=0.5), q, cost, X[:1], 1, nodes=100)
    with pytest.raises(AssertionError, match="mean:"):
        assert_exactly_unbiased(ready(SurrogateNotAddedBack(hidden=5), 2, size=0.5), q, cost, X[:1], 1, nodes=100)


class LaxByHand(Lax):
    """The formula with plain automatic differentiation, for its gradient only."""

    def forward(self, q, cost, x):
        z = q.rsample(self.k)
        surrogate = self.network(z, x)
        score = (cost(z) - surrogate).detach() * q.log_prob(z.detach())
        return Estimate((score + surrogate).mean(0), cost(z).mean(0))


def test_draw_by_draw():
    (q, cost), estimator = small_latents()["gaussian"], ready(Lax(2, hidden=5), 2)
    assert_pure(estimator, q, cost, X)
    assert_replicas_equal_a_loop_and_vmap(estimator, q, 2, cost)
    assert_tuning(estimator, q, cost)
    q, expected = live(q), ready(LaxByHand(2, hidden=5), 2)
    expected.load_state_dict(estimator.state_dict())
    torch.testing.assert_close(drawn(estimator, q, cost), drawn(expected, q, cost), rtol=0, atol=1e-11)
    estimate = estimator(q, cost, X)  # the decoder sees the samples alone
    got, samples = (torch.autograd.grad(v.sum(), cost.weights, retain_graph=True)[0] for v in estimate[:2])
    torch.testing.assert_close(got, samples, rtol=1e-12, atol=0)


def test_without_a_surrogate_it_is_reinforce():
    q, cost = small_latents()["gaussian"]
    q = live(q)
    expected = drawn(Reinforce(3), q, cost)
    torch.testing.assert_close(drawn(ready(Lax(3), 2, 0.0), q, cost), expected, rtol=0, atol=1e-12)
    assert not torch.allclose(drawn(ready(Lax(3), 2), q, cost), expected, rtol=0, atol=1e-2)


def test_with_the_cost_as_its_surrogate_it_is_pathwise():
    class AsCost(nn.Module):
        def take_sizes(self, z, x):
            pass

        def forward(self, z, x):
            return cost(z)

    q, cost = small_latents()["gaussian"]
    q, estimator = live(q), Lax(3)
    estimator.network = AsCost()
    torch.testing.assert_close(drawn(estimator, q, cost), drawn(Reparam(3), q, cost), rtol=0, atol=1e-12)


def test_refused_arguments():
    with pytest.raises(ValueError, match="k >= 1; got k=0"):
        Lax(0)
    with pytest.raises(ValueError, match="hidden >= 1 units; got hidden=0"):
        Lax(hidden=0)
