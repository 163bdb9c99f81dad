"""The latent families against torch.distributions, enumeration and closed forms. Their noise: test_latents_noise.py."""

import itertools
import math

import pytest
import torch
import torch.distributions as td

from estimators.latents import FAMILIES, VQ, Bernoulli, Categorical, Gaussian, Latent

SHAPES = {"gaussian": (6,), "bernoulli": (4,), "categorical": (3, 4), "vq": (3, 2)}  # of params, after the batch
DISCRETE = ["bernoulli", "categorical", "vq"]
RTOL = {torch.float32: 1e-4, torch.float64: 1e-10}


@pytest.fixture(params=[(5,), (2, 5)], ids=["B", "RB"])
def batch(request) -> tuple[int, ...]:
    return request.param


@pytest.fixture(params=[torch.float32, torch.float64], ids=["f32", "f64"])
def dtype(request) -> torch.dtype:
    return request.param


def make(family: str, batch: tuple[int, ...], dtype: torch.dtype = torch.float64) -> Latent:
    params = torch.randn(*batch, *SHAPES[family], dtype=dtype, requires_grad=True)
    return VQ(params, torch.randn(4, 2, dtype=dtype), 0.7) if family == "vq" else FAMILIES[family](params)


def reference(q: Latent) -> td.Distribution:
    """The same distribution by torch.distributions, written from the parameters alone."""
    if isinstance(q, Gaussian):
        half = q.params.shape[-1] // 2
        return td.Independent(td.Normal(q.params[..., :half], q.params[..., half:].exp()), 1)
    if isinstance(q, Bernoulli):
        return td.Independent(td.Bernoulli(logits=q.params), 1)
    if isinstance(q, VQ):
        squares = (q.params[..., None, :] - q.codebook).square().sum(-1)  # [..., B, N, C]
        return td.Independent(td.OneHotCategorical(logits=-squares / q.temperature), 1)
    return td.Independent(td.OneHotCategorical(logits=q.params), 1)


def learned_prior(q: Latent) -> Latent:
    """A prior that is not the standard one, with a batch axis of 1 that broadcasts."""
    shape = (3, 4) if isinstance(q, VQ) else q.params.shape[len(q.batch_shape) :]
    params = torch.randn(1, *shape, dtype=q.params.dtype)
    return Categorical(params) if isinstance(q, VQ) else type(q)(params)


def gradients(q: Latent, first: torch.Tensor, second: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    return tuple(torch.autograd.grad(out.square().sum(), q.params, retain_graph=True)[0] for out in (first, second))


@pytest.mark.parametrize("family", SHAPES)
def test_log_prob_and_its_gradient(family, batch, dtype):
    q = make(family, batch, dtype)
    z = reference(q).sample((7,)).to(dtype)
    assert q.batch_shape == batch
    assert q.sample(7).shape == z.shape
    ours, theirs = q.log_prob(z), reference(q).log_prob(z)
    assert ours.dtype == dtype
    torch.testing.assert_close(ours, theirs, rtol=RTOL[dtype], atol=RTOL[dtype])
    torch.testing.assert_close(*gradients(q, ours, theirs), rtol=RTOL[dtype], atol=10 * RTOL[dtype])


@pytest.mark.parametrize("prior", ["standard", "learned"])
@pytest.mark.parametrize("family", SHAPES)
def test_kl_and_its_gradient(family, prior, batch, dtype):
    q = make(family, batch, dtype)
    p = q.standard() if prior == "standard" else learned_prior(q)
    ours = q.kl() if prior == "standard" else q.kl(p)
    theirs = td.kl_divergence(reference(q), reference(p).expand(batch))
    assert ours.shape == batch
    torch.testing.assert_close(ours, theirs, rtol=RTOL[dtype], atol=RTOL[dtype])
    torch.testing.assert_close(*gradients(q, ours, theirs), rtol=RTOL[dtype], atol=10 * RTOL[dtype])
    torch.testing.assert_close(q.kl(q.standard()), q.kl(), rtol=RTOL[dtype], atol=RTOL[dtype])


@pytest.mark.parametrize("family", SHAPES)
def test_standard_prior_is_standard_normal_or_uniform(family):
    q = make(family, (2, 5))
    z = q.sample(3)
    if family == "gaussian":
        expected = td.Independent(td.Normal(torch.zeros_like(z), 1.0), 1).log_prob(z)
    else:
        expected = torch.full((3, 2, 5), -math.log(q.states), dtype=torch.float64)
    torch.testing.assert_close(q.standard().log_prob(z).expand(3, 2, 5), expected)


def test_kl_of_a_gaussian_in_closed_form():
    q = make("gaussian", (2, 5))
    (gradient,) = torch.autograd.grad(q.kl().sum(), q.params)
    d_mean, d_log_std = gradient.chunk(2, -1)
    torch.testing.assert_close(d_mean, q.mean)
    torch.testing.assert_close(d_log_std / q.std, q.std - 1 / q.std)  # d KL / d std


@pytest.mark.parametrize("family", DISCRETE)
def test_enumeration_lists_every_state_once(family, batch):
    q = make(family, batch)
    states = q.enumerate()
    assert states.shape[: 1 + len(batch)] == (q.states, *[1] * len(batch))
    listed = {tuple(s.flatten().tolist()) for s in states}
    choices = [(0.0,), (1.0,)] if family == "bernoulli" else torch.eye(4).tolist()
    size = 4 if family == "bernoulli" else 3
    assert listed == {tuple(itertools.chain(*s)) for s in itertools.product(choices, repeat=size)}
    assert len(states) == len(listed) == q.states


@pytest.mark.parametrize("family", DISCRETE)
def test_enumeration_in_chunks_is_enumeration(family):
    q = make(family, (2, 5))
    whole = q.enumerate()
    chunks = [q.enumerate(start, min(start + 5, q.states)) for start in range(0, q.states, 5)]
    assert all(len(c) == 5 for c in chunks[:-1])
    assert torch.equal(torch.cat(chunks), whole)
    assert torch.equal(q.enumerate(3), whole[3:])
    assert torch.equal(q.enumerate(stop=3), whole[:3])


@pytest.mark.parametrize("family", DISCRETE)
def test_expectations_by_enumeration(family, batch, dtype):
    q, tolerance = make(family, batch, dtype), {"rtol": RTOL[dtype], "atol": RTOL[dtype]}
    states = q.enumerate()
    assert states.dtype == dtype
    log_prob = q.log_prob(states)  # [S, ..., B]
    weight = log_prob.exp()
    torch.testing.assert_close(weight.sum(0), torch.ones(batch, dtype=dtype), **tolerance)
    mean = (weight.reshape(*weight.shape, *[1] * q.event_ndim) * states).sum(0)
    torch.testing.assert_close(mean, q.probs, **tolerance)
    for prior in (q.standard(), learned_prior(q)):
        kl = (weight * (log_prob - prior.log_prob(states))).sum(0)
        torch.testing.assert_close(kl, q.kl(prior), **tolerance)


@pytest.mark.parametrize("family", DISCRETE)
def test_soften_tends_to_harden(family):
    q = make(family, (2, 5))
    perturbed = q.perturbed(50)
    torch.testing.assert_close(q.soften(perturbed, 1e-10), q.harden(perturbed))
    level = 0.5 if family == "bernoulli" else 0.25
    torch.testing.assert_close(q.soften(perturbed, 1e9), torch.full_like(perturbed, level))
    torch.testing.assert_close(q.soften(q.logits, 1.0), q.probs)
    assert not q.harden(perturbed).requires_grad


@pytest.mark.parametrize("family", SHAPES)
def test_where_gradient_flows(family):
    q = make(family, (2, 5))
    assert not q.sample(3).requires_grad
    if family == "gaussian":
        differentiable = {"rsample": q.rsample(3)}
    else:
        differentiable = {
            "perturbed": q.perturbed(3),
            "conditional": q.conditional(q.sample(3)),
            "relaxed": q.relaxed(3, 0.5),
        }
    for name, out in differentiable.items():
        (gradient,) = torch.autograd.grad(out.square().sum(), q.params)
        assert gradient.isfinite().all(), name
        assert (gradient != 0).all(), name
    assert not q.detach().log_prob(q.sample(3)).requires_grad


@pytest.mark.parametrize("family", SHAPES)
def test_with_params_keeps_everything_else(family):
    q, other = make(family, (5,)), make(family, (2, 5))
    moved, z = q.with_params(other.params), q.sample(2)[:, None].expand(2, 2, 5, *q.sample(2).shape[2:])
    assert type(moved) is type(q)
    expected = VQ(other.params, q.codebook, q.temperature) if family == "vq" else FAMILIES[family](other.params)
    assert torch.equal(moved.log_prob(z), expected.log_prob(z))
