"""A VQ posterior whose temperature learns, as the variance of SQ-VAE does: exact gradients by enumeration."""

import pytest
import torch

from estimators import VQ
from estimators.exact import Exact
from estimators.local_expectation import LocalExpectation
from estimators.reinforce import Reinforce
from estimators.rloo import RLOO
from estimators.straight_through import StraightThrough
from estimators.unordered_set import UnorderedSet
from tests.support.discrete import interacting
from tests.support.enumerate import outcomes, replay

X = torch.zeros(1, 1, dtype=torch.float64)
SHAPES = {"one": (), "by position": (2, 1), "by example and position": (1, 2, 1)}


def leaves(shape, seed=0):
    """Vectors `[1, 2, 2]` and log-variances, both leaves, and a codebook `[3, 2]`."""
    generator = torch.Generator().manual_seed(seed)
    vectors, codebook, log_variance = (
        torch.randn(s, dtype=torch.float64, generator=generator) for s in ((1, 2, 2), (3, 2), shape)
    )
    return vectors.requires_grad_(), codebook, log_variance.requires_grad_()


def posterior(vectors, codebook, log_variance):
    return VQ(vectors, codebook, 2 * log_variance.exp())


def negative_elbo(vectors, codebook, log_variance):
    """SQ-VAE's cost of a point: a reconstruction, and |vector - code|^2 over twice the variance."""

    def cost(z, q=None):
        distance = (vectors - z @ codebook).square() / (2 * log_variance.exp())
        return interacting(z) + distance.sum((-2, -1))

    return cost


def truth(vectors, codebook, log_variance):
    """The gradients of E cost + KL(q || uniform), over every state."""
    q = posterior(vectors, codebook, log_variance)
    z = q.enumerate()
    expected = (q.log_prob(z).exp() * negative_elbo(vectors, codebook, log_variance)(z)).sum()
    return torch.autograd.grad(expected + q.kl().sum(), [vectors, log_variance])


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize(
    ("estimator", "draws"), [(RLOO(2), 2), (Reinforce(1), 1), (LocalExpectation(), 1), (Exact(), 0)]
)
def test_unbiased_for_vectors_and_variances(estimator, draws, shape, seed):
    vectors, codebook, log_variance = leaves(shape, seed)
    q = posterior(vectors, codebook, log_variance)
    cost = negative_elbo(vectors, codebook, log_variance)
    if draws:
        noise, weights = outcomes(q, draws)
        replicas = replay(q, noise)
        loss = (weights.unsqueeze(-1) * estimator(replicas, cost, X).loss).sum()
        through = torch.autograd.grad(loss, replicas.params, retain_graph=True)[0].sum(0)
    else:
        loss, through = estimator(q, cost, X).loss.sum(), 0
    got = torch.autograd.grad(loss + q.kl().sum(), [vectors, log_variance])
    expected = truth(vectors, codebook, log_variance)
    torch.testing.assert_close(got[0] + through, expected[0], rtol=0, atol=1e-10)
    torch.testing.assert_close(got[1], expected[1], rtol=0, atol=1e-10)
    assert expected[1].abs().min() > 1e-3


def test_a_biased_estimator_is_told_apart():
    vectors, codebook, log_variance = leaves(())
    q = posterior(vectors, codebook, log_variance)
    noise, weights = outcomes(q, 1)
    loss = (weights.unsqueeze(-1) * StraightThrough()(replay(q, noise), interacting, X).loss).sum()
    found = torch.autograd.grad(loss, log_variance, retain_graph=True)[0]
    z = q.enumerate()
    expected = torch.autograd.grad((q.log_prob(z).exp() * interacting(z)).sum(), log_variance)[0]
    assert (found - expected).abs() > 0.01


def test_a_number_and_a_tensor_are_the_same_posterior():
    vectors, codebook, _ = leaves(())
    number, tensor = VQ(vectors, codebook, 0.7), VQ(vectors, codebook, torch.tensor(0.7, dtype=torch.float64))
    assert not tensor.deterministic
    torch.testing.assert_close(tensor.logits, number.logits, rtol=0, atol=0)
    drawn = []
    for q in (number, tensor):
        torch.manual_seed(1)
        drawn.append(UnorderedSet(2)(q, interacting, X).loss)
    torch.testing.assert_close(*drawn, rtol=0, atol=0)


def test_a_frozen_posterior_has_a_frozen_temperature():
    """So that log q(z) inside a cost does not move it."""
    vectors, codebook, log_variance = leaves(())
    q = posterior(vectors, codebook, log_variance)
    z = q.sample(2)
    assert q.log_prob(z).requires_grad
    assert not q.detach().log_prob(z).requires_grad
    torch.testing.assert_close(q.detach().log_prob(z), q.log_prob(z).detach(), rtol=0, atol=0)
    assert VQ(vectors, codebook, 0.0).detach().deterministic


def test_replicas_share_it_or_have_their_own():
    vectors, codebook, log_variance = leaves((1, 2, 1))
    q = posterior(vectors.expand(5, 1, 2, 2), codebook, log_variance.expand(5, 1, 2, 1))
    assert q.batch_shape == (5, 1)
    assert q.with_params(q.params + 1).logits.shape == (5, 1, 2, 3)
    assert RLOO(2)(q, interacting, X).loss.shape == (5, 1)
