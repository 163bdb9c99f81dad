"""IBQ: straight-through over all codes, and what each code gets of it."""

import pytest
import torch

from estimators import VQ
from estimators.ibq import IBQ
from estimators.straight_through import StraightThrough
from tests.support.discrete import interacting

X = torch.zeros(1, 1, dtype=torch.float64)


def quantised(temperature, batch=(4,), seed=1, embed=None):
    """q `[*batch]` of two positions and three codes, vectors and codebook at leaves."""
    generator = torch.Generator().manual_seed(seed)
    vectors = torch.randn(*batch, 2, 2, dtype=torch.float64, generator=generator).requires_grad_()
    codebook = torch.randn(3, 2, dtype=torch.float64, generator=generator).requires_grad_()
    return VQ(vectors, codebook, temperature, embed)


def slopes(estimator, q, cost=interacting, seed=3):
    torch.manual_seed(seed)
    loss = estimator(q, cost, X).loss.sum()
    return torch.autograd.grad(loss, [q.params, q.codebook], allow_unused=True)


@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.parametrize("temperature", [0.4, 1.7])
def test_vectors_get_what_straight_through_gives(temperature, k):
    q = quantised(temperature)
    vectors, codebook = slopes(IBQ(k, temperature), q)
    expected, nothing = slopes(StraightThrough(k), q)
    torch.testing.assert_close(vectors, expected, rtol=0, atol=1e-12)
    assert nothing is None
    assert (codebook != 0).all()


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
@pytest.mark.parametrize("seed", [1, 2])
def test_every_code_gets_its_share_of_the_slope(temperature, seed):
    """At a point mass, against (J slope) times the slope of -||vector - code||^2, code by code."""
    q = quantised(0.0, seed=seed)
    z = q.nearest().clone().requires_grad_()
    slope = torch.autograd.grad(interacting(z).sum(), z)[0]  # [B, N, C]
    vectors, codes = q.params.detach(), q.codebook.detach()
    distances = (vectors.unsqueeze(-2) - codes).square().sum(-1)
    p = torch.softmax(-distances / temperature, -1)
    share = p * (slope - (p * slope).sum(-1, keepdim=True)) / temperature  # of each score
    towards = 2 * (vectors.unsqueeze(-2) - codes)  # d score / d code [B, N, C, d]
    got = slopes(IBQ(temperature=temperature), q)
    torch.testing.assert_close(got[1], (share.unsqueeze(-1) * towards).sum((0, 1)), rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(got[0], -(share.unsqueeze(-1) * towards).sum(-2), rtol=1e-10, atol=1e-12)


def test_the_decoder_reads_the_nearest_code_at_a_point_mass():
    q, seen = quantised(0.0), []
    IBQ(2)(q, lambda z, q=None: seen.append(z) or interacting(z), X)
    assert torch.equal(seen[0].detach(), q.nearest().expand(2, *q.nearest().shape))


def test_codes_also_learn_from_the_decoder():
    """A cost of the vectors that the codes are: the chosen codes get the slope itself, and all their share."""
    q = quantised(0.0)
    got = slopes(IBQ(), q, lambda z, q_=None: (q.quantised(z) ** 3).sum((-2, -1)))[1]
    alone = slopes(IBQ(), q, lambda z, q_=None: ((z @ q.codebook.detach()) ** 3).sum((-2, -1)))[1]
    z = q.nearest()
    direct = torch.einsum("bnc,bnd->cd", z, 3 * (z @ q.codebook) ** 2)
    torch.testing.assert_close(got, alone + direct.detach(), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("batch", [(4,), (3, 4), (2, 3, 4)])
def test_any_batch_shape(batch, dtype):
    q = quantised(0.7, batch)
    q = VQ(q.params.detach().to(dtype).requires_grad_(), q.codebook.detach().to(dtype).requires_grad_(), 0.7)
    estimate = IBQ(2)(q, interacting, X)
    assert estimate.loss.shape == estimate.cost.shape == batch
    assert estimate.loss.dtype == dtype


@pytest.mark.parametrize(
    ("arguments", "sentence"), [({"k": 0}, "k >= 1; got k=0"), ({"temperature": 0.0}, "above 0; got temperature=0")]
)
def test_refused_arguments(arguments, sentence):
    with pytest.raises(ValueError, match=sentence):
        IBQ(**arguments)
