"""The exact gradient, and the control that has no gradient estimator at all."""

from unittest import mock

import pytest
import torch

from estimators import Bernoulli, Gaussian, chunks, exact
from estimators.detached import Detached
from estimators.exact import Exact
from tests.support.costs import Nonlinear, SampledKL, small_latents, three_bits
from tests.support.enumerate import assert_exactly_unbiased, exact_moments, true_gradient
from tests.support.injection import X

FAMILIES = ("gaussian", "bernoulli", "categorical", "vq")


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("kl", ["analytic", "sampled"])
@pytest.mark.parametrize("elements", [2**24, 18, 1])
def test_exact_is_the_truth_in_one_chunk_and_in_many(family, kl, elements):
    q, cost = small_latents()[family]
    cost = SampledKL(cost, q) if kl == "sampled" else cost
    params = q.params.clone().requires_grad_()
    with mock.patch.dict(chunks.ELEMENTS, cpu=elements):
        estimate = Exact(nodes=40)(q.with_params(params), cost, X)
        gradient, decoder = torch.autograd.grad(estimate.loss.sum(), [params, *cost.parameters()])
    truth = true_gradient(q, cost)
    torch.testing.assert_close(gradient, truth.mean, rtol=0, atol=1e-9)
    torch.testing.assert_close(decoder, truth.decoder, rtol=0, atol=1e-9)
    torch.testing.assert_close(estimate.cost.detach(), truth.cost, rtol=0, atol=1e-9)


@pytest.mark.parametrize("family", FAMILIES)
def test_exact_holds_for_replicas(family):
    q, cost = small_latents()[family]
    params = q.params.expand(3, *q.params.shape).clone().requires_grad_()  # [R, B, *]
    (gradient,) = torch.autograd.grad(Exact(nodes=40)(q.with_params(params), cost, X).loss.sum(), params)
    torch.testing.assert_close(gradient, true_gradient(q, cost).mean.expand_as(gradient), rtol=0, atol=1e-9)


@pytest.mark.parametrize("family", FAMILIES)
def test_exact_keeps_one_chunk_in_memory(family):
    q, cost = small_latents()[family]
    params, sizes = q.params.clone().requires_grad_(), []

    def counted(z, q=None):
        sizes.append(z.shape[0])
        return cost(z)

    with mock.patch.dict(chunks.ELEMENTS, cpu=18):
        estimator = Exact(nodes=5)
        loss = estimator(q.with_params(params), counted, X).loss
        forward = list(sizes)
        torch.autograd.grad(loss.sum(), params)
    assert sum(forward) == estimator.points(q)
    assert max(forward) == 18 // max(q.params.numel(), X.numel()) < estimator.points(q)
    assert sorted(sizes) == sorted(2 * forward)  # every chunk was computed again, so none was kept


def test_gauss_hermite_integrates_polynomials():
    nodes, weights = exact.gauss_hermite(6)
    for power, moment in enumerate([1, 0, 1, 0, 3, 0, 15, 0, 105, 0, 945, 0]):
        assert (weights @ nodes**power).item() == pytest.approx(moment, abs=1e-9)
    assert abs((weights @ nodes**12).item() - 10395) > 1  # degree 2 * nodes is one too many


def test_exact_refuses_too_many_points():
    q = Bernoulli(torch.zeros(1, 200))
    for estimator, count in ((Exact(), "1.61e\\+60"), (Exact(limit=7), "8")):
        latent = q if estimator.limit > 7 else three_bits()
        assert estimator.refuses(latent) is not None
        with pytest.raises(ValueError, match=f"over {count} points.*limit"):
            estimator(latent, Nonlinear(), X[:1])
    assert Exact(limit=8).refuses(three_bits()) is None
    gaussian = Gaussian(torch.zeros(1, 6))
    assert Exact(nodes=20).refuses(gaussian) is None
    assert Exact(nodes=26).refuses(gaussian) is not None  # 26 ** 3 > 2 ** 14


@pytest.mark.parametrize("family", [*FAMILIES, "nearest code"])
def test_detached_teaches_the_decoder_and_leaves_the_encoder_its_kl(family):
    q, cost = small_latents()["vq" if family == "nearest code" else family]
    if family == "nearest code":
        q = type(q)(q.params, q.codebook, temperature=0.0)
    assert Detached().refuses(q) is None
    params = q.params.clone().requires_grad_()
    live = q.with_params(params)
    kl = live.kl() if family != "nearest code" else live.params.pow(2).sum((-2, -1))  # its own KL is constant
    (of_kl,) = torch.autograd.grad(kl.sum(), params, retain_graph=True)
    loss = Detached()(live, cost, X).loss + kl
    gradient, decoder = torch.autograd.grad(loss.sum(), [params, cost.weights])
    torch.testing.assert_close(gradient, of_kl, rtol=0, atol=0)
    assert of_kl.abs().sum() > 0
    assert decoder.abs().sum() > 0


@pytest.mark.parametrize("family", FAMILIES[1:])
def test_detached_is_rejected_as_unbiased_but_its_decoder_is_right(family):
    q, cost = small_latents()[family]
    with pytest.raises(AssertionError, match=r"^mean"):
        assert_exactly_unbiased(Detached(), q, cost, X, 1)
    torch.testing.assert_close(exact_moments(Detached(), q, cost, X, 1).decoder, true_gradient(q, cost).decoder)
