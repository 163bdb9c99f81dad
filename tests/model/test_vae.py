"""Every family, network and likelihood: shapes, densities against torch.distributions, and where outputs start."""

import math

import pytest
import torch
from torch import distributions as D

from bench.model.latents import units
from bench.model.networks import Trunk
from bench.model.vae import VAE
from tests.support.small import LATENTS, MODEL, PIXELS, images, mean_image, vae

NETWORKS = {
    "mlp": {"hidden": [5, 4]},
    "linear": {"hidden": []},
    "conv": {"arch": "conv", "hidden": [2, 3]},
}


def points(model: VAE, k: int, *batch: int) -> torch.Tensor:
    """Samples `[K, *batch, *]` of a standard prior, and for a Gaussian any real numbers."""
    prior = model.encode(images(1)).standard()
    return prior.with_params(prior.params.expand(*batch, *prior.params.shape[1:])).sample(k)


@pytest.mark.parametrize("likelihood", ["bernoulli", "gaussian"])
@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("family", LATENTS)
def test_shapes_along_every_axis(family, network, likelihood):
    model = vae(family, **NETWORKS[network], likelihood=likelihood, prior="learned")
    x, shape = images(3), units(LATENTS[family])[0]
    q = model.encode(x)
    assert q.family == family
    assert q.params.shape == (3, *shape)
    replicas = q.with_params(q.params.expand(4, *q.params.shape))
    for posterior, lead in ((q, (2, 3)), (replicas, (2, 4, 3))):
        z = posterior.sample(2)
        assert model.decode(z).shape == (*lead, PIXELS)
        assert model.log_likelihood(x, z).shape == lead
        assert model.log_prior(z, posterior).shape == lead
        assert posterior.kl(model.prior()).shape == lead[1:]
    one_by_one = torch.stack([model.decode(z[:, r]) for r in range(4)], 1)  # no replica sees another
    torch.testing.assert_close(model.decode(z), one_by_one, rtol=0, atol=1e-12)


@pytest.mark.parametrize("shared", [False, True], ids=["own points", "shared points"])
@pytest.mark.parametrize("learn_std", [False, True])
@pytest.mark.parametrize("likelihood", ["bernoulli", "gaussian"])
def test_log_likelihood_is_that_of_torch(likelihood, learn_std, shared):
    model, x = vae("bernoulli", likelihood=likelihood, learn_std=learn_std, output_bias="constant"), images(3)
    z = points(model, 4, 1 if shared else 3)
    output = model.decode(z)
    pixels = D.Bernoulli(logits=output) if likelihood == "bernoulli" else D.Normal(output, model.log_std.exp())
    found = model.log_likelihood(x, z)
    assert found.shape == (4, 3)
    torch.testing.assert_close(found, pixels.log_prob(x).sum(-1), rtol=0, atol=1e-10)
    (grad,) = (
        torch.autograd.grad(found.sum(), model.log_std, allow_unused=True, retain_graph=True) if learn_std else (None,)
    )
    if likelihood == "gaussian" and learn_std:  # squares / std^2 - X
        expected = (((x - output) / model.log_std.exp()) ** 2 - 1).sum()
        torch.testing.assert_close(grad.squeeze(), expected, rtol=0, atol=1e-9)
    assert model.log_std.requires_grad == learn_std


def test_real_valued_images_share_points_too():
    model, x = vae("gaussian", likelihood="gaussian"), torch.rand(3, PIXELS, dtype=torch.float64)
    z = points(model, 4, 1)
    torch.testing.assert_close(
        model.log_likelihood(x, z), model.log_likelihood(x, z.expand(4, 3, 3)), rtol=0, atol=1e-10
    )


@pytest.mark.parametrize("likelihood", ["bernoulli", "gaussian"])
@pytest.mark.parametrize("output_bias", ["none", "init", "constant"])
def test_where_the_output_starts(output_bias, likelihood):
    model = vae("bernoulli", output_bias=output_bias, likelihood=likelihood, init="glorot", hidden=[])
    with torch.no_grad():
        model.decoder.net[0].weight.zero_()
    output = model.decode(points(model, 2, 3))  # biases are made in single precision
    start = output.sigmoid() if likelihood == "bernoulli" else output
    if output_bias == "none":
        assert not output.any()
    elif likelihood == "gaussian":
        torch.testing.assert_close(start, mean_image().expand_as(start), rtol=0, atol=1e-6)
    else:
        torch.testing.assert_close(start, mean_image().clamp(0.001, 0.999).expand_as(start), rtol=0, atol=1e-6)
    bias, learned = model.decoder.net[0].bias, [id(p) for p in model.parameters() if p.requires_grad]
    assert id(bias) in learned
    assert bias.any() == (output_bias == "init")
    assert not model.output_offset.requires_grad


def test_a_convolutional_output_starts_at_the_mean_level():
    plain, model = (vae("bernoulli", **NETWORKS["conv"], output_bias=b, init="glorot") for b in ("none", "init"))
    model.load_state_dict({n: v for n, v in plain.state_dict().items() if not n.endswith("net.5.bias")}, strict=False)
    z, level = points(model, 2, 3), torch.logit(mean_image().clamp(0.001, 0.999)).mean()
    torch.testing.assert_close(model.decode(z), plain.decode(z) + level, rtol=0, atol=1e-6)


def test_a_convolutional_output_starts_at_the_mean_of_each_channel():
    mean, config = torch.arange(48, dtype=torch.float32) / 48, {"output_bias": "init", "likelihood": "gaussian"}
    model = VAE(LATENTS["bernoulli"], MODEL | NETWORKS["conv"] | {"init": "glorot"} | config, (3, 4, 4), mean)
    [bias] = [p for name, p in model.decoder.named_parameters() if name == "net.5.bias"]
    torch.testing.assert_close(bias, torch.tensor([7.5, 23.5, 39.5]) / 48)


@pytest.mark.parametrize("family", LATENTS)
def test_signs_and_centre(family):
    torch.manual_seed(1)
    plain = vae(family)
    changed = vae(family, signed_latent=True, center_input=True)
    changed.load_state_dict(plain.state_dict() | {"centre": changed.centre})
    x, z = images(3), points(plain, 2, 3)
    torch.testing.assert_close(changed.encode(x).params, plain.encode(x - mean_image()).params, rtol=0, atol=0)
    wanted = plain.decode(2 * z - 1) if family == "bernoulli" else plain.decode(z)
    torch.testing.assert_close(changed.decode(z), wanted, rtol=0, atol=0)


@pytest.mark.parametrize("family", ["bernoulli", "categorical", "vq"])
def test_learned_prior_of_a_discrete_family(family):
    model = vae(family, prior="learned")
    q = model.encode(images(3))
    z = q.enumerate()
    log_prior = model.log_prior(z, q)
    torch.testing.assert_close(log_prior.exp().sum(0), torch.ones(1, dtype=torch.float64))
    by_hand = (q.log_prob(z).exp() * (q.log_prob(z) - log_prior)).sum(0)
    torch.testing.assert_close(q.kl(model.prior()), by_hand, rtol=0, atol=1e-10)
    (grad,) = torch.autograd.grad(q.kl(model.prior()).sum(), model.prior_params)
    assert grad.abs().max() > 1e-3
    assert (by_hand - q.kl()).abs().max() > 1e-2  # it is not the uniform one


def test_learned_prior_of_the_gaussian():
    model = vae("gaussian", prior="learned")
    q, p = model.encode(images(3)), model.prior()
    by_hand = D.kl_divergence(D.Normal(q.mean, q.std), D.Normal(p.mean, p.std)).sum(-1)
    torch.testing.assert_close(q.kl(p), by_hand, rtol=0, atol=1e-10)
    z = q.sample(5)
    torch.testing.assert_close(model.log_prior(z, q), D.Normal(p.mean, p.std).log_prob(z).sum(-1), rtol=0, atol=1e-10)


def test_impossible_networks_are_refused_in_one_sentence():
    for hidden in ([], [2, 3, 4]):
        with pytest.raises(ValueError, match=r"halves the image .*hidden=.*4x4 images can be halved 2 times"):
            Trunk(MODEL | {"arch": "conv", "hidden": hidden}, (1, 4, 4), 3, to_image=True)
    with pytest.raises(ValueError, match="no activation 'gelu'; there are relu, tanh, leaky_relu"):
        vae("bernoulli", activation="gelu")
    with pytest.raises(ValueError, match="no latent family 'beta'; there are gaussian, bernoulli, categorical, vq"):
        units({"family": "beta"})


@pytest.mark.parametrize("logit", [-60.0, -25.0, -20.5, 20.5, 25.0, 60.0])
def test_a_sure_pixel_keeps_its_digits(logit):
    """log p(x|z) of one image whose every output is this logit: -log(1 + exp(-|logit|)) for each right pixel."""
    model = vae("bernoulli", hidden=[])
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
        last = [module for module in model.modules() if isinstance(module, torch.nn.Linear)][-1]
        last.bias.fill_(logit)
    x = torch.full((1, PIXELS), float(logit > 0), dtype=torch.float64)
    found = model.log_likelihood(x, torch.zeros(1, 1, 4, dtype=torch.float64))
    assert found.item() == pytest.approx(-PIXELS * math.log1p(math.exp(-abs(logit))), rel=0, abs=1e-12)
