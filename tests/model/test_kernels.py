"""Convolutions with kernels and strides of their own: the sizes on the way, the way back, and what does not fit."""

import pytest
import torch
from torch import nn

from bench.check.measured import MODEL
from bench.measure.gradient.draws import take
from bench.model.networks import Trunk
from bench.model.objective import Objective
from bench.model.vae import VAE
from estimators.reparam import Reparam
from tests.support.composed import resolved
from tests.support.small import LATENTS


def conv(kernels, strides, hidden):
    return MODEL | {"arch": "conv", "hidden": hidden, "kernels": kernels, "strides": strides}


@pytest.mark.parametrize(("kernels", "strides", "shape"), [
    ([5, 3, 3], [3, 2, 2], (3, 48, 48)), ([3, 2], [2, 3], (1, 11, 9)), ([1], [4], (2, 6, 6)), ([3], [1], (1, 5, 4)),
])  # fmt: skip
def test_the_decoder_goes_back_through_the_sizes_of_the_encoder(kernels, strides, shape):
    model = conv(kernels, strides, [2, 3, 4][: len(kernels)])
    encoder, decoder = (Trunk(model, shape, 5, to_image=way) for way in (False, True))
    sizes: list[list[tuple[int, ...]]] = [[], []]
    for trunk, found in zip((encoder, decoder), sizes, strict=True):
        for layer in trunk.net:
            if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
                layer.register_forward_hook(
                    lambda layer, given, made, found=found: found.append((given[0].shape[1:], made.shape[1:]))
                )
    assert decoder(encoder(torch.rand(2, torch.Size(shape).numel()))).shape == (2, torch.Size(shape).numel())
    there, back = sizes
    assert [(made, given) for given, made in reversed(there)] == back


def test_the_preset_of_rig_is_that_of_its_authors():
    config = resolved("experiment=rig")
    model = VAE(config["latent"], config["model"], (3, 48, 48), torch.full((3 * 48 * 48,), 0.5))
    shapes = [tuple(p.shape) for p in model.encoder.parameters() if p.ndim > 1]
    assert shapes == [(16, 3, 5, 5), (32, 16, 3, 3), (64, 32, 3, 3), (2 * 4, 64 * 3 * 3)]
    assert [tuple(p.shape) for p in model.decoder.parameters() if p.ndim > 1] == [
        (64 * 3 * 3, 4), (64, 32, 3, 3), (32, 16, 3, 3), (16, 3, 5, 5)
    ]  # fmt: skip
    assert config["objective"] == {"kl": "analytic", "beta": 10.0}


def test_such_a_model_is_measured_as_by_a_backward_pass():
    torch.manual_seed(0)
    model = VAE(LATENTS["gaussian"], conv([3, 2], [2, 2], [2, 3]), (1, 8, 7), torch.full((56,), 0.4)).double()
    objective, x = Objective(model, Reparam(), "analytic", 0.0), torch.rand(2, 56, dtype=torch.float64).round()
    torch.manual_seed(2)
    tallies = take(objective, x, 1)
    torch.manual_seed(2)
    q = model.encode(x)
    leaf = q.params[None]  # of one draw
    objective.estimate(q.with_params(leaf), x).loss.mean().backward()
    convolutions = [n for n, p in model.named_parameters() if p.ndim == 4]
    assert len(convolutions) == 4
    for name in convolutions:
        found = tallies[name].vectors()
        torch.testing.assert_close((found[:-1] + found[-1])[0], model.get_parameter(name).grad.flatten())


@pytest.mark.parametrize(("kernels", "strides", "hidden", "reason"), [
    ([9], [1], [2], "a kernel of 9 meets 8x8"), ([3, 7], [1, 1], [2, 2], "a kernel of 7 meets 6x6"),
    ([3], [2], [2, 2], "one number each"), ([3, 3], None, [2, 2], "one number each"), ([], [], [], "one number each"),
])  # fmt: skip
def test_what_does_not_fit_is_one_sentence(kernels, strides, hidden, reason):
    for way in (False, True):
        with pytest.raises(ValueError, match=reason):
            Trunk(conv(kernels, strides, hidden), (1, 8, 8), 3, to_image=way)
