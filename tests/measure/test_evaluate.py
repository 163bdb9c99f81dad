"""Evaluation on models whose log p(x) is known: probabilistic PCA, and latents small enough to enumerate."""

import inspect
import math

import pytest
import torch
from torch import Tensor
from torch.distributions import MultivariateNormal

from bench.measure.evaluate import evaluate
from bench.model.vae import VAE
from estimators import VQ, Bernoulli, Gaussian
from tests.support.small import LATENTS, PIXELS, images, vae

STD = 0.7


def probabilistic_pca(off: float = 0.0) -> tuple[VAE, MultivariateNormal]:
    """A linear-Gaussian VAE and its p(x). With orthogonal decoder columns the posterior is diagonal, and linear in x;
    the encoder is set to it, its means shifted and its standard deviations scaled where `off` is not 0."""
    model = vae("gaussian", hidden=[], likelihood="gaussian", std=STD)
    columns = torch.linalg.qr(torch.randn(PIXELS, 3, dtype=torch.float64))[0] * torch.tensor([2.0, 1.0, 0.5])
    bias = torch.randn(PIXELS, dtype=torch.float64)
    precision = 1 + columns.square().sum(0) / STD**2
    with torch.no_grad():
        model.log_std.fill_(math.log(STD))
        decoder, encoder = model.decoder.net[0], model.encoder.net[0]
        decoder.weight.copy_(columns)
        decoder.bias.copy_(bias)
        encoder.weight[:3] = columns.T / STD**2 / precision[:, None]
        encoder.weight[3:] = 0
        encoder.bias[:3] = -encoder.weight[:3] @ bias + off
        encoder.bias[3:] = -0.5 * precision.log() + off
    covariance = columns @ columns.T + STD**2 * torch.eye(PIXELS, dtype=torch.float64)
    return model, MultivariateNormal(bias, covariance)


def per_example(model: VAE, x: Tensor, samples: int, name: str, prior_samples: int = 0) -> Tensor:
    """A column for every image alone: noise of its own for each."""
    rows = [evaluate(model, one[None], samples, prior_samples, seed) for seed, one in enumerate(x)]
    return torch.tensor([row[name] for row in rows], dtype=torch.float64)


def z_score(values: Tensor, truth: float) -> float:
    return float((values.mean() - truth) / (values.std() / len(values) ** 0.5))


@pytest.mark.parametrize("samples", [1, 7])
def test_every_bound_is_tight_at_the_posterior(samples):
    model, p = probabilistic_pca()
    x = p.sample((20,))
    truth, row = p.log_prob(x), evaluate(model, x, samples, 0, seed=0)
    # The bound with sampled weights has no noise at all; the ELBO's reconstruction is sampled, its KL is not.
    assert row["iwae"] == pytest.approx(float(truth.mean()), abs=1e-8)
    assert row["iwae_se"] == pytest.approx(float(truth.std()) / 20**0.5, abs=1e-8)
    many = evaluate(model, x, 4000, 0, seed=0)
    assert many["elbo"] == pytest.approx(float(truth.mean()), abs=0.05)
    assert (row["examples"], row["samples"], row["prior_samples"]) == (20, samples, 0)
    assert "log_prior_sampling" not in row


def test_bounds_below_a_wrong_posterior():
    model, p = probabilistic_pca(off=0.3)
    x = p.sample((1,))
    truth, repeated = float(p.log_prob(x)), x.expand(1500, -1)
    elbo = evaluate(model, x, 20_000, 0, seed=0)["elbo"]  # its noise is 0.02 nats
    bounds = {k: per_example(model, repeated[:600], k, "iwae") for k in (1, 5, 50)}
    assert elbo < truth - 0.2
    assert abs(z_score(bounds[1], elbo)) < 4  # K = 1 is the ELBO with a sampled KL
    assert abs(z_score(per_example(model, repeated[:600], 1, "elbo"), elbo)) < 4
    assert z_score(bounds[5] - bounds[1], 0) > 4
    assert z_score(bounds[50] - bounds[5], 0) > 4
    assert z_score(bounds[50], truth) < 4
    assert abs(z_score((bounds[50] - truth).exp(), 1)) < 4  # the mean weight is p(x), whatever K
    assert truth - 0.1 < bounds[50].mean() < truth


@pytest.mark.parametrize("prior", ["fixed", "learned"])
@pytest.mark.parametrize("family", ["bernoulli", "categorical", "vq"])
def test_prior_sampling_is_unbiased_for_p_of_x(family, prior):
    model, x = vae(family, prior=prior), images(1)
    with torch.no_grad():
        model.decoder.net[2].weight.mul_(3)  # points that differ in what they explain
        q = model.encode(x)
        z = q.enumerate()
        likelihood, log_prior = model.log_likelihood(x, z)[:, 0], model.log_prior(z, q)[:, 0]
    truth = float((likelihood + log_prior).logsumexp(0))
    found = per_example(model, x.expand(400, -1), 1, "log_prior_sampling", prior_samples=2)
    assert abs(z_score((found - truth).exp(), 1)) < 4
    assert (
        z_score((found - log_prior.exp() @ likelihood).exp(), 1) > 4
    )  # the mean of the log is not the log of the mean


def test_prior_sampling_is_hopeless_in_a_larger_model():
    model, p = probabilistic_pca()
    with torch.no_grad():
        model.decoder.net[0].weight.mul_(20)
    columns = model.decoder.net[0].weight.detach()
    p = MultivariateNormal(p.loc, columns @ columns.T + STD**2 * torch.eye(PIXELS, dtype=torch.float64))
    x = p.sample((50,))
    row = evaluate(model, x, 1, 1000, seed=0)
    assert row["log_prior_sampling"] < float(p.log_prob(x).mean()) - 20
    assert row["prior_samples"] == 1000


@pytest.mark.parametrize("prior", ["fixed", "learned"])
@pytest.mark.parametrize("family", LATENTS)
def test_elbo_is_reconstruction_less_kl(family, prior):
    model, x = vae(family, prior=prior), images(40)
    row = evaluate(model, x, 10, 5, seed=0)
    q = model.encode(x)
    kl = q.kl(model.prior()).detach()
    assert row["kl"] == pytest.approx(float(kl.mean()))
    assert row["elbo"] == pytest.approx(row["reconstruction"] - row["kl"])
    assert row["bits_per_dim"] == pytest.approx(-row["elbo"] / (PIXELS * math.log(2)))
    if family != "gaussian":
        z = q.enumerate()
        reconstruction = (q.log_prob(z).exp() * model.log_likelihood(x, z)).sum(0).detach()
        many = evaluate(model, x, 2000, 0, seed=0)
        assert many["reconstruction"] == pytest.approx(float(reconstruction.mean()), abs=0.02)
        assert many["elbo_se"] == pytest.approx(float((reconstruction - kl).std()) / 40**0.5, rel=0.05)
        evidence = (model.log_likelihood(x, z) + model.log_prior(z, q)).logsumexp(0).mean().detach()
        assert many["iwae"] == pytest.approx(float(evidence), abs=0.02)
        assert many["elbo"] < many["iwae"]


def test_a_single_image_has_no_standard_error():
    row = evaluate(vae("bernoulli"), images(1), 3, 2, seed=0)
    assert all(math.isnan(row[f"{name}_se"]) for name in ("elbo", "iwae", "log_prior_sampling"))
    assert row["active_units"] is None


@pytest.mark.parametrize("prior", ["fixed", "learned"])
def test_deterministic_quantisation(prior):
    model, x = vae("vq", {"temperature": 0.0}, prior=prior), images(30)
    row, q = evaluate(model, x, 9, 0, seed=0), model.encode(x)
    positions, codes = LATENTS["vq"]["positions"], LATENTS["vq"]["codes"]
    log_prior = -positions * math.log(codes) if prior == "fixed" else model.prior().log_prob(q.nearest())
    expected = model.log_likelihood(x, q.nearest()[None])[0] + log_prior  # log p(x | code) - N log C
    assert row["elbo"] == row["iwae"] == pytest.approx(float(expected.detach().mean()))
    assert row["active_units"] is None
    used = {int(i) for i in q.nearest().argmax(-1).flatten()}
    assert row["usage"] == len(used) / codes
    assert 1 <= row["perplexity"] <= len(used) + 1e-9
    apart = torch.cdist(q.params.flatten(0, 1), q.codebook).min(-1).values.square().sum() / q.params.numel()
    assert row["quantisation_error"] == pytest.approx(float(apart.detach()))


def test_active_units_on_planted_ones(monkeypatch):
    model, x = vae("gaussian"), images(50)
    scale = torch.linspace(-1, 1, 50, dtype=torch.float64)
    spread = (0.01 / scale.var()).sqrt()
    mean = torch.stack([1.1 * spread * scale, 0.9 * spread * scale, torch.full_like(scale, 3.0)], 1)
    monkeypatch.setattr(VAE, "encode", lambda self, x: Gaussian(torch.cat([mean, torch.zeros_like(mean)], 1)[: len(x)]))
    assert evaluate(model, x, 2, 0, seed=0)["active_units"] == 1
    model = vae("bernoulli")
    bits = torch.logit(0.5 + torch.cat([mean[:, :2], torch.zeros(50, 2, dtype=torch.float64)], 1))
    monkeypatch.setattr(VAE, "encode", lambda self, x: Bernoulli(bits[: len(x)]))
    assert evaluate(model, x, 2, 0, seed=0)["active_units"] == 1


def test_perplexity_and_usage_are_those_of_codes_alone():
    for family in LATENTS:
        row = evaluate(vae(family), images(9), 2, 0, seed=0)
        assert all((column in row) == (family == VQ.family) for column in ("perplexity", "usage", "quantisation_error"))


def test_evaluation_knows_no_estimator_and_moves_nothing():
    model, x = vae("bernoulli"), images(700)
    known = ["model", "x", "samples", "prior_samples", "seed", "prior", "level_bits"]
    assert list(inspect.signature(evaluate).parameters) == known
    before, state = {n: v.clone() for n, v in model.state_dict().items()}, torch.get_rng_state()
    rows = [evaluate(model, x, 20, 30, seed) for seed in (1, 1, 2)]
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(v, before[n]) for n, v in model.state_dict().items())
    assert rows[0] == rows[1] != rows[2]
