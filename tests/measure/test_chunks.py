"""Several layers or stages in chunks of draws: each sample axis, and each chunk, adds up to what single passes give."""

from unittest.mock import patch

import pytest
import torch

from bench.config.plugins import estimator
from bench.measure.gradient import draws as taking
from bench.measure.gradient.draws import GradientDraws, take
from bench.model.layered import Layered
from bench.model.objective import Objective
from tests.support.experts import mixture
from tests.support.layers import hierarchy, images, layered, one_by_one
from tests.support.small import images as small_images
from tests.support.small import vae
from tests.support.stages import residual, staged

MADE = {
    "stages": lambda name: staged(residual(3, False, positions=2, codes=2), name),
    "detached": lambda name: staged(residual(2, positions=2, codes=2, codebook="simvq"), name),
    "experts": lambda name: Layered(mixture(), estimator(name).double(), "analytic", 0.0),
    "layers": lambda name: layered(hierarchy("categorical", [2, 1]), name),
}
DRAWS = 7  # of which the first two are a chunk


def taken(objective, x, memory):
    """Tallies of DRAWS draws, and how many each chunk had."""
    sizes = []

    def counting(objective, q, x, draws, generative):
        sizes.append(draws)
        return GradientDraws(objective, q, x, draws, generative)

    with patch.object(taking, "GradientDraws", counting):
        return take(objective, x, DRAWS, memory=memory), sizes


def of_codes(objective, x):
    """Gradient of the loss without noise, by block of the codebooks, which single passes leave out; of others none."""
    fixed = objective.fixed(objective.model.encode(x)).mean()
    learned = {n: p for n, p in objective.model.named_parameters() if p.requires_grad}
    if not fixed.requires_grad:
        return {}
    grads = torch.autograd.grad(fixed, list(learned.values()), allow_unused=True, materialize_grads=True)
    return {n.removesuffix(".weight"): g.mT.flatten() for n, g in zip(learned, grads, strict=True) if "codebook" in n}


@pytest.mark.parametrize(
    ("name", "memory"), [("rloo", 256), ("rloo", 0.03), ("st_gumbel_softmax", 256), ("local_expectation", 256)]
)
@pytest.mark.parametrize("model", list(MADE))
def test_chunks_of_draws_are_the_single_passes(model, name, memory):
    objective, x = MADE[model](name), images()
    torch.manual_seed(2)
    tallies, sizes = taken(objective, x, memory)
    torch.manual_seed(2)
    each = [one_by_one(objective, x, size) for size in sizes]
    assert sum(sizes) == DRAWS
    assert len(sizes) > 1
    assert sizes[1] > 1  # no draw is alone
    constants = of_codes(objective, x)
    for block in each[0]:
        if (block == "latent" or block.startswith("encoder.")) and constants:
            continue  # whose part without noise is pulled back on its own
        found = torch.cat([part[block] for part in each]) + constants.get(block, 0.0)
        tally, constant = tallies[block], tallies[block].vectors()[-1]
        torch.testing.assert_close(tally.mean(), found.mean(0), rtol=1e-9, atol=1e-12)
        torch.testing.assert_close(tally.squares.sum(), (found - constant).square().sum(), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", ["nvil", "relax", "rodeo"])
def test_draws_hold_nothing_for_own_parameters(name):
    """Half the memory of a draw may be that of an estimator's network, whose gradient nobody asks for."""
    objective, x, seen = Objective(vae("bernoulli"), estimator(name).double()), small_images(5), []
    objective.estimate(objective.model.encode(x), x)  # sizes of lazy layers
    before = [p.requires_grad for p in objective.estimator.parameters()]
    forward = objective.estimator.forward

    def watched(*given):
        seen.append(any(p.requires_grad for p in objective.estimator.parameters()))
        return forward(*given)

    with patch.object(objective.estimator, "forward", watched):
        tallies = take(objective, x, DRAWS)
    assert any(before)
    assert seen
    assert not any(seen)
    assert [p.requires_grad for p in objective.estimator.parameters()] == before
    assert all(tally.squares.sum() > 0 for tally in tallies.values())
