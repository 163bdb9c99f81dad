"""Models whose layers share weights, or move while they are measured."""

import pytest
import torch
from torch import nn

from bench.errors import Impossible
from bench.measure.gradient.draws import take
from bench.measure.gradient.parts import noise_alone
from bench.model.objective import Objective
from estimators.disarm import Disarm
from estimators.rloo import RLOO
from tests.support.loop import numbered
from tests.support.small import images, vae

DRAWS = 12


def linears(module: nn.Module) -> list[nn.Linear]:
    return [layer for layer in module.modules() if isinstance(layer, nn.Linear)]


def tie(part: str, bias: bool = False):
    """A model in which two layers of the encoder, of the decoder or of both have one weight."""
    model = vae("bernoulli", hidden=[4, 4])
    if part == "across":
        one, other = linears(model.encoder)[1], linears(model.decoder)[1]
    else:
        one, other = [layer for layer in linears(getattr(model, part)) if layer.weight.shape == (4, 4)][:2]
    other.weight = one.weight
    if bias:
        other.bias = one.bias
    return model


def by_hand(objective, x, part):
    """Sum over all parameters of a part of the variance of R gradients, one backward pass each."""
    learned = [(n, p) for n, p in objective.model.named_parameters() if p.requires_grad]
    named = [p for n, p in learned if n.startswith("encoder.") == (part == "encoder")]
    found = []
    with numbered(objective.estimator):
        for _ in range(DRAWS):
            q = objective.model.encode(x)
            loss = (objective.estimate(q, x).loss + objective.fixed(q)).mean()
            grads = torch.autograd.grad(loss, named, allow_unused=True, materialize_grads=True)
            found.append(torch.cat([g.flatten() for g in grads]))
    drawn = torch.stack(found)
    return drawn.var(0).sum().item(), drawn.mean(0).square().sum().item()


@pytest.mark.parametrize("estimator", [RLOO(2), Disarm()])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("part", ["encoder", "decoder"])
def test_shared_weights_have_one_gradient(part, bias, estimator):
    objective, x = Objective(tie(part, bias), estimator), images(3)
    with numbered(estimator):
        tallies = take(objective, x, DRAWS)
    for each in ("encoder", "decoder"):
        blocks = [n for n in tallies if n != "latent" and n.startswith("encoder.") == (each == "encoder")]
        norm = sum(tallies[name].mean().double().square().sum().item() for name in blocks)
        assert (noise_alone(tallies, blocks), norm) == pytest.approx(by_hand(objective, x, each), rel=1e-8)


def test_a_weight_of_encoder_and_decoder_is_refused():
    with pytest.raises(Impossible, match=r"encoder\.\S+ and decoder\.\S+ are one parameter.*give each its own"):
        take(Objective(tie("across"), RLOO(2)), images(3), 4)


def test_a_layer_used_twice_is_no_tie():
    model = vae("bernoulli", hidden=[4, 4])
    layers = list(model.decoder.children()) if isinstance(model.decoder, nn.Sequential) else None
    one = [layer for layer in linears(model.decoder) if layer.weight.shape == (4, 4)]
    for parent in model.decoder.modules():
        for name, child in parent.named_children():
            if child is one[1]:
                setattr(parent, name, one[0])
    assert layers is None or linears(model.decoder).count(one[0]) == 1  # modules() names each once
    objective, x = Objective(model, RLOO(2)), images(3)
    with numbered(objective.estimator):
        tallies = take(objective, x, DRAWS)
    blocks = [name for name in tallies if name.startswith("decoder.")]
    assert noise_alone(tallies, blocks) == pytest.approx(by_hand(objective, x, "decoder")[0], rel=1e-8)


class Moves(nn.Module):
    """Counts its calls in a buffer."""

    def __init__(self):
        super().__init__()
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, x):
        self.calls += 1
        return x


@pytest.mark.parametrize("part", ["encoder", "decoder"])
@pytest.mark.parametrize(
    ("layer", "words"),
    [
        (nn.BatchNorm1d(4).double(), "normalises by its batch in training mode"),
        (nn.BatchNorm1d(4, track_running_stats=False).double(), "normalises by its batch"),
        (nn.Dropout(0.3), "drops out in training mode"),
        (Moves(), "calls moves in a forward pass"),
    ],
)
def test_what_moves_while_it_is_measured_is_refused(part, layer, words):
    model = vae("bernoulli", hidden=[4])
    name, first = next((n, m) for n, m in getattr(model, part).named_modules() if isinstance(m, nn.Linear))
    holder, _, attribute = name.rpartition(".")
    setattr(getattr(model, part).get_submodule(holder), attribute, nn.Sequential(layer, first) if part == "decoder"
            else nn.Sequential(first, layer))  # fmt: skip
    model.train()
    before = {n: b.clone() for n, b in model.named_buffers()}
    with pytest.raises(Impossible, match=words + r".*call \.eval\(\) on it before measuring"):
        take(Objective(model, RLOO(2)), images(3), 4)
    torch.testing.assert_close(dict(model.named_buffers()), before, rtol=0, atol=0)


def test_layers_that_are_frozen_are_measured():
    model = vae("bernoulli", hidden=[4])
    assert take(Objective(model.eval(), RLOO(2)), images(3), 4)
